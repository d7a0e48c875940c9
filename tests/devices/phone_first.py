"""Becomes the phone's first process: ``phone_first.py ROOT USER GROUPS COMMAND...``, with what SELinux keeps from ``shell`` on a phone kept.

Under /data/local/tmp that user makes no socket, no FIFO and no hard link: Android's policy (shell.te) names files, folders and symbolic
links alone. Landlock keeps the same here, where the kernel has it (landlock(7)).
"""

from __future__ import annotations

import ctypes
import os
import struct
import sys

SET_PARENT_DEATH_SIGNAL, KILL = 1, 9
"""prctl(2); it is lost with a change of user."""
CREATE_RULESET, RESTRICT_SELF = 444, 446
MAKE_SOCKET, MAKE_FIFO = 1 << 9, 1 << 10
"""linux/landlock.h. Hard links within a folder are none of its rights."""


def keep_from_making_sockets() -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    handled = struct.pack("=Q", MAKE_SOCKET | MAKE_FIFO)
    rules = libc.syscall(CREATE_RULESET, handled, ctypes.c_size_t(len(handled)), 0)
    if rules >= 0 and libc.syscall(RESTRICT_SELF, rules, 0) == 0:
        os.close(rules)


def main() -> None:
    root, user, groups, *command = sys.argv[1:]
    keep_from_making_sockets()
    os.chroot(root)
    os.chdir("/")
    os.setgroups([int(one) for one in groups.split(",")])
    os.setgid(int(user))
    os.setuid(int(user))
    ctypes.CDLL(None).prctl(SET_PARENT_DEATH_SIGNAL, KILL, 0, 0, 0)
    os.execv(command[0], command)


if __name__ == "__main__":
    main()
