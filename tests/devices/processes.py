"""What Linux tells of a process's descendants."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def children(pid: int) -> list[int]:
    """All descendants of a process, parents first."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        for task in Path(f"/proc/{waiting.pop()}/task").glob("*/children"):
            with suppress(OSError):
                new = [int(word) for word in task.read_text(encoding="ascii").split()]
                found += new
                waiting += new
    return found
