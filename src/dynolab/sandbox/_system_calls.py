"""System calls that Python does not offer, as little as the sandbox needs of them."""

from __future__ import annotations

import ctypes
import os

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36  # prctl(2)
SIGKILL, SIGTERM = 9, 15  # signal(7): the module takes long to import


def hold(kernel: ctypes.CDLL, parent: int, death: int) -> None:
    """Have the kernel send the signal ``death`` when ``parent`` ends; end at once if it has ended already."""
    prctl(kernel, PR_SET_PDEATHSIG, death)
    if os.getppid() != parent:
        os._exit(1)


def prctl(kernel: ctypes.CDLL, option: int, value: int, third: int = 0) -> None:
    """One option of the process (prctl(2)); nothing where there is no prctl."""
    if hasattr(kernel, "prctl"):
        words = (ctypes.c_ulong(value), ctypes.c_ulong(third), ctypes.c_ulong(0), ctypes.c_ulong(0))
        check(kernel.prctl(option, *words), f"prctl {option}")


def check(result: int, what: str) -> None:
    """Raise OSError, naming the call, for a result below 0."""
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
