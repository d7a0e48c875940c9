"""What Linux tells of a process's descendants."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

ENDS_WITH_US = ("setpriv", "--pdeathsig", "KILL", "--")
"""Before a command: it does not outlive the tests, however they end (util-linux; prctl(2): PR_SET_PDEATHSIG)."""


def children(pid: int) -> list[int]:
    """All descendants of a process, parents first."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        with suppress(OSError):  # it, or a thread of it, ended meanwhile
            for task in Path(f"/proc/{waiting.pop()}/task").iterdir():
                new = [int(word) for word in (task / "children").read_text(encoding="ascii").split()]
                found += new
                waiting += new
    return found


def name_of(pid: int) -> str:
    """The name of a process's program, or nothing when it is gone or has ended."""
    with suppress(OSError):
        lines = Path(f"/proc/{pid}/status").read_text(encoding="utf-8").splitlines()
        told = dict(line.split(":\t", 1) for line in lines[:5] if ":\t" in line)
        return "" if told["State"].startswith(("Z", "X")) else told["Name"]  # a zombie until its parent asks
    return ""
