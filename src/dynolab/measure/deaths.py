"""What it means that a process ended without a result: by which signal, or with which code."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from dynolab import errors
from dynolab.measure.memory_limit import MemoryLimit, limit_error
from dynolab.measure.protocol import UNFIT_CODE, RunRequest

FROM_OUTSIDE = (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
"""Signals that somebody sends; all others are what a program brings upon itself."""
_FRAME = re.compile(r'^  File "(.+?)", line \d+', re.MULTILINE)
_OURS = Path(errors.__file__).parent


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


def of_worker(code: int, request: RunRequest, text: str, memory_limit: MemoryLimit) -> errors.Error:
    """The error of a worker that left no result; ``text`` is the end of its log."""
    stage, number = request.kind.value.replace("_", " "), signal_of(code)
    if number is not None and request.memory_limit_bytes is not None and "bad_alloc" in text:
        return limit_error(request.memory_limit_bytes, f"the worker died by {number.name}", stage)
    if number is signal.SIGKILL and (seen := memory_limit.killed_for_memory()):
        return errors.OutOfMemory(
            f"the system ran out of memory in {stage} and killed the worker ({seen})",
            hint="a smaller input or another device may do",
        )
    if (lost := from_outside(code, f"the worker in {stage}", log=text)) is not None:
        return lost
    if number is not None:
        return errors.WorkerCrashed(
            f"the runtime {request.runtime} crashed in {stage}: its process died by {number.name}",
            hint="the end of its log is below; the same model and runtime would crash your app too",
        )
    if code == UNFIT_CODE:
        return errors.DeviceUnfit(f"the device had no room for the result of a worker in {stage}")
    if _is_ours(text):
        return errors.Bug(f"the worker ended with code {code} in {stage} and left no result", details={"log": text})
    return errors.WorkerCrashed(
        f"the worker with the runtime {request.runtime} ended with code {code} in {stage} and left no result",
        hint="the end of its log is below; the same model and runtime would end your app too",
    )


def _is_ours(log: str) -> bool:
    """Whether a log ends with a traceback whose innermost frame is code of dynolab."""
    _, found, last = log.rpartition("Traceback (most recent call last):")
    frames = _FRAME.findall(last) if found else []
    return bool(frames) and Path(frames[-1]).is_relative_to(_OURS)
