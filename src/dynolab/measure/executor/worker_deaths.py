"""What it means that a worker ended without a result: by which signal, or with which code."""

from __future__ import annotations

import re
import signal
from pathlib import Path

from dynolab import errors
from dynolab.measure.deaths import from_outside, signal_of
from dynolab.measure.executor.memory_limit import MemoryLimit, limit_error
from dynolab.measure.protocol import UNFIT_CODE, RunRequest

_FRAME = re.compile(r'^  File "(.+?)", line \d+', re.MULTILINE)
_OURS = Path(errors.__file__).parent


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
