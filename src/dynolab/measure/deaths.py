"""What it means that a process ended: by which signal, and whether somebody else sent it."""

from __future__ import annotations

import signal

from dynolab import errors

FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that somebody sends; all others are what a program brings upon itself."""


def signal_of(code: int) -> signal.Signals | None:
    """The signal that ended a process, by its exit code as Python has it, or as a shell or sandbox passes it on."""
    number = -code if code < 0 else code - 128
    return signal.Signals(number) if number in set(signal.Signals) else None


def from_outside(code: int, what: str, *, log: str = "") -> errors.DeviceLost | None:
    """The error of a process that somebody else ended, which no model and no bug does; None for any other end."""
    number = signal_of(code)
    if number not in FROM_OUTSIDE:
        return None
    return errors.DeviceLost(
        f"{what} was ended from outside ({number.name}) before it was through: nothing was kept",
        hint="if nobody stopped it, the system may have run out of memory: see `dmesg`; then run it again",
        details={"log": log},
    )
