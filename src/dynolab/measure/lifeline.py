"""Ties a process's life to its parent's, so that a killed command leaves nothing running."""

from __future__ import annotations

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1  # prctl(2)


def hold(parent: int) -> None:
    """Have the kernel kill this process when ``parent`` ends; end at once if it has ended already.

    Where there is no prctl, the parent's own care is all there is.
    """
    library = ctypes.CDLL(None)
    if hasattr(library, "prctl"):
        library.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:
            sys.exit(1)
