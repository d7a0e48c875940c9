"""Processes that the kernel killed for want of memory, as its counters tell."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path


def kills(root: Path = Path("/")) -> dict[str, int]:
    """How many so far, by where it is told: this process's control group, and where it has none the whole system.

    A control group counts its own processes, whether the group or the system ran out of memory (kernel, oom_kill.c:
    __oom_kill_process counts for both).
    """
    for path in _groups(root):
        if (count := _count(path)) is not None:
            return {str(path): count}
    count = _count(root / "proc/vmstat")
    return {} if count is None else {str(root / "proc/vmstat"): count}


def more_than(before: Mapping[str, int]) -> str | None:
    """Where it is told that more were killed since; None: nowhere."""
    for name, count in before.items():
        now = _count(Path(name))
        if now is not None and now > count:
            return f"oom_kill in {name}"
    return None


def _groups(root: Path) -> list[Path]:
    """Files that may tell of this process's control group; in a container its path may not be ours to see."""
    found: list[Path] = []
    with suppress(OSError):
        for line in (root / "proc/self/cgroup").read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            top = root / "sys/fs/cgroup"
            if not controllers:
                found += [top / path.lstrip("/") / "memory.events", top / "memory.events"]
            elif "memory" in controllers.split(","):
                found += [top / "memory" / path.lstrip("/") / "memory.oom_control", top / "memory/memory.oom_control"]
    return found


def _count(path: Path) -> int | None:
    with suppress(OSError, ValueError):
        for line in path.read_text().splitlines():
            name, _, count = line.partition(" ")
            if name == "oom_kill":
                return int(count)
    return None
