"""What a child process does before it becomes PostgreSQL; run by its path with ``-I -S``, which takes 25 ms."""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

_PR_SET_PDEATHSIG = 1  # prctl(2)
_CLONE_NEWUSER = 0x10000000  # unshare(2); os.unshare is in Python 3.12 and later only


def main(parent: str, death: str, account: str, folder: str, *command: str) -> None:
    """Take on ``account``, have ``parent``'s end bring the signal ``death``, and become ``command`` in ``folder``.

    ``account`` is ``stay:UID:GID`` (as the parent), ``map:UID:GID`` (as the parent, but seen as UID in a user namespace of
    its own) or ``switch:UID:GID``. What the system refuses is one line on stderr.
    """
    kind, uid, gid = account.split(":", 2)
    try:
        if kind == "map":
            _map(uid, gid)
        elif kind == "switch":
            os.setgroups([])
            os.setgid(int(gid))
            os.setuid(int(uid))
        os.umask(0o077)
        os.chdir(folder)
        _hold(int(parent), int(death))  # after setuid, which undoes it
        os.execv(command[0], command)
    except OSError as error:
        sys.exit(f"{error.strerror}: {error.filename or f'{account} {command[0]}'}")


def _map(uid: str, gid: str) -> None:
    """Move into a new user namespace, where today's user and group bear other numbers. Needs no privilege in itself."""
    outside = os.geteuid(), os.getegid()
    library = ctypes.CDLL(None, use_errno=True)
    if library.unshare(_CLONE_NEWUSER) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), "user namespace")
    Path("/proc/self/setgroups").write_text("deny", encoding="ascii")  # user_namespaces(7) asks for it before gid_map
    Path("/proc/self/uid_map").write_text(f"{uid} {outside[0]} 1", encoding="ascii")
    Path("/proc/self/gid_map").write_text(f"{gid} {outside[1]} 1", encoding="ascii")


def _hold(parent: int, death: int) -> None:
    """Have the kernel send a signal when the parent ends, by SIGKILL too; end at once if it has ended already."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, death)
    if os.getppid() != parent:
        sys.exit("the hub has ended")


if __name__ == "__main__":
    main(*sys.argv[1:])
