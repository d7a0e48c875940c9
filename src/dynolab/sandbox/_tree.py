"""The processes below another, and their end."""

from __future__ import annotations

import os
import signal
from contextlib import suppress
from pathlib import Path


def descendants(pid: int) -> list[int]:
    """Processes started by ``pid``, their children included; those that just ended are left out."""
    found: list[int] = []
    waiting = [pid]
    while waiting:
        parent = waiting.pop()
        try:
            tasks = [path.name for path in Path(f"/proc/{parent}/task").iterdir()]
        except OSError:
            continue
        for task in tasks:
            try:
                children = [int(word) for word in Path(f"/proc/{parent}/task/{task}/children").read_text().split()]
            except OSError:
                continue
            found += children
            waiting += children
    return found


def kill_descendants(pid: int) -> None:
    """End all processes below ``pid``. They are stopped first, until no new one appears: what is stopped starts nothing."""
    stopped: set[int] = set()
    while new := set(descendants(pid)) - stopped:
        for one in new:
            with suppress(ProcessLookupError, PermissionError):
                os.kill(one, signal.SIGSTOP)
        stopped |= new
    for one in stopped:
        with suppress(ProcessLookupError, PermissionError):
            os.kill(one, signal.SIGKILL)
