"""Turns of the agents of one machine: while one measures, none compiles, and none probes the machine."""

from __future__ import annotations

import fcntl
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from dynolab.connections.local import workspace_root

LOCK_FILE = "measures.lock"


@contextmanager
def turn(*, compiles: bool, waits: Callable[[], None]) -> Iterator[None]:
    """Hold this machine for a job that compiles, once no agent of this user measures here, or for one that measures.

    Agents that measure do not wait for each other: whoever starts several on one machine wants that. ``waits`` is called
    before the block waits.
    """
    kind = fcntl.LOCK_EX if compiles else fcntl.LOCK_SH
    root = workspace_root()
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            waits()
            fcntl.flock(lock, kind)
        yield


@contextmanager
def turn_if_free() -> Iterator[bool]:
    """Hold this machine alone for a moment, if no agent of this user measures or compiles here; whether that is so."""
    root = workspace_root()
    root.mkdir(parents=True, exist_ok=True)
    with (root / LOCK_FILE).open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield True
