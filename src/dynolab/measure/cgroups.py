"""Where the control groups of this process lie. Standard library only: workers ask too."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path


def folders(root: Path, controller: str) -> Iterator[str]:
    """This process's folder and those above it, v1 and v2 (cgroups(7)), seen from ``root``, the innermost first.

    In a container the path of ``/proc/self/cgroup`` may not exist below the mount: then only the mount itself counts.
    """
    for line in _own(root).splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controllers and controller not in controllers.split(","):
            continue
        mounts = (f"sys/fs/cgroup/{controllers}",) if controllers else ("sys/fs/cgroup", "sys/fs/cgroup/unified")
        for mount in mounts:
            steps = [part for part in path.split("/") if part and part != ".."]
            yield from ("/".join([mount, *steps[:depth]]) for depth in range(len(steps), -1, -1))


def _own(root: Path) -> str:
    with suppress(OSError):
        return (root / "proc/self/cgroup").read_text(encoding="utf-8", errors="replace")
    return ""
