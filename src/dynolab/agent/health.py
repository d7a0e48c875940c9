"""Whether the board is fit to take a job: a state of its own, apart from whether it is free."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Callable
from pathlib import Path

from dynolab import errors
from dynolab.connections.local import workspace_root
from dynolab.measure import room

FREE_BYTES = 100 * 10**6
"""The least that must be free where jobs work, unless DYNOLAB_AGENT_FREE_BYTES says otherwise."""
REST_FIRST_S, REST_MOST_S = 5.0, 300.0
"""How long a board rests after it failed: another may have the job meanwhile. Ever longer as long as it is unfit by what was
seen; not after processes were killed, which a model can do to its own."""


class Health:
    """What is known of this board's health. It recovers by itself: each question looks anew."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now = now
        self._free_bytes = least_free()
        self._rest_s = REST_FIRST_S
        self._rests_until = 0.0
        self._failure = ""

    def unfit(self) -> str:
        """Why the board must not take a job now; empty: it may."""
        if self._now() < self._rests_until:
            return self._failure
        return _disk(workspace_root(), self._free_bytes)

    def ended(self, error: errors.Error | None) -> None:
        """An attempt ended, with this error or well. One that the device is to blame for has the board rest."""
        if not isinstance(
            error, errors.DeviceError
        ):  # also a model's own failure: the board was well enough to find it
            self._rest_s, self._failure = REST_FIRST_S, ""
            return
        self._failure = error.message
        longer = isinstance(error, errors.DeviceUnfit)
        self._rests_until = self._now() + (self._rest_s if longer else REST_FIRST_S)
        self._rest_s = min(2 * self._rest_s, REST_MOST_S) if longer else self._rest_s


def _disk(root: Path, least_bytes: int) -> str:
    """What is wrong with the disk that jobs work on; empty: nothing."""
    try:
        root.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(root).free
        names = os.statvfs(root)
    except OSError as error:
        found = errors.unfit(error)
        return found.message if found else f"the workspaces {root} cannot be used: {error.strerror}"
    if free < least_bytes:
        return f"disk full: {free / 1e6:.0f} MB are free in {root}, {least_bytes / 1e6:.0f} MB are needed"
    if names.f_files and not names.f_favail:
        return f"disk full: no more files can be made in {root}"
    trouble = room.trouble(root)
    return trouble.message if trouble else ""


def least_free() -> int:
    """``DYNOLAB_AGENT_FREE_BYTES``. Raises :class:`~dynolab.errors.SpecInvalid`."""
    text = os.environ.get("DYNOLAB_AGENT_FREE_BYTES") or str(FREE_BYTES)
    if not text.isdecimal():
        raise errors.SpecInvalid(
            f"DYNOLAB_AGENT_FREE_BYTES={text!r} is not a number of bytes", hint="such as 100000000"
        )
    return int(text)
