"""Whom root becomes in a sandbox: a user number that nobody else has, of its own for each process that confines others."""

from __future__ import annotations

import fcntl
import functools
import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path

FIRST_ID, LAST_ID = 60_706, 61_183
"""Given to nobody by any convention, and within the 65,536 that a container has (systemd: "Users, Groups, UIDs and GIDs")."""
SHARED_ID = 65_533
"""Given to nobody either: where there is no place for locks."""
PLACES = Path("/run"), Path("/var/run"), Path("/tmp")
FOLDER = "dynolab-users"


@functools.cache
def own_id() -> int:
    """A number that no other process of this machine's root has while this one lives.

    So models that run at the same time share no limit of processes, and whatever the kernel lets a user do to its own
    processes (signals, tracing, priority, processors) they cannot do to each other. Its lock is held until this process ends.
    """
    count = LAST_ID - FIRST_ID + 1
    first = secrets.randbelow(count)  # containers on one kernel do not see each other's locks
    for folder in filter(_is_ours, (place / FOLDER for place in PLACES)):
        for step in range(count):
            number = FIRST_ID + (first + step) % count
            if _is_free(folder / str(number)):
                return number
    return SHARED_ID


def _is_ours(folder: Path) -> bool:
    """Whether the folder is there, or could be made, and nobody else writes into it."""
    with suppress(OSError):
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        return stat.S_ISDIR(found.st_mode) and found.st_uid == os.geteuid() and not found.st_mode & 0o022
    return False


def _is_free(path: Path) -> bool:
    """Whether nobody held the lock; from now on this process does."""
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return False
    return True
