"""One worker process: started, watched, sampled, limited and, if it must be, killed with all its children."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from dynolab import errors
from dynolab.measure import deaths, memory_readings, room
from dynolab.measure.clock import now_ns
from dynolab.measure.memory_limit import MemoryLimit, limit_error
from dynolab.measure.protocol import (
    LOG_FILE,
    REQUEST_FILE,
    Measure,
    RunRequest,
    RunResult,
    write,
)
from dynolab.measure.results import read_result
from dynolab.sandbox.base import Confined, Confinement, Limits, Sandbox, accelerators, confine_python, give, tidy
from dynolab.spec import untrusted
from dynolab.spec.measurements import MemoryEdge

SAMPLE_EVERY_S = 0.004
"""In memory passes only. VmHWM catches every spike; samples tell which part of a peak was file-backed."""
WATCH_EVERY_S = 0.1
"""With a memory limit that no control group keeps; RLIMIT_DATA catches what is faster."""
LOOK_EVERY_S = 0.25
"""For progress, in timing passes: nothing runs on the device's cores more often than this."""
LOG_TAIL_BYTES = 4_000


@dataclass(slots=True)
class Outcome:
    """What came of one run."""

    result: RunResult
    wall_ns: int
    samples: list[MemoryEdge] = field(default_factory=list)
    log: str = ""


def run(
    folder: Path,
    request: RunRequest,
    *,
    deadline_ns: int | None,
    memory_limit: MemoryLimit,
    sandbox: Sandbox,
    on_look: Callable[[], None] | None = None,
) -> Outcome:
    """Carry out one request in a fresh, confined process.

    A failure of the model (an error the worker reports, a signal, a limit) is in ``result.error``; nothing of the
    process is left when this returns or raises, and in its folders nothing but files and folders.
    """
    folder.mkdir(parents=True)
    write(request, folder / REQUEST_FILE)
    confinement = _confinement(folder, request)
    start = now_ns()
    samples: list[MemoryEdge] = []
    with (folder / LOG_FILE).open("w+b") as log:
        command = [sys.executable, "-P", "-m", "dynolab.measure.worker", str(folder)]
        process = sandbox.start(command, confinement, stdout=log, stderr=subprocess.STDOUT)
        try:
            memory_limit.admit(process.pid)
            disk = room.Watch(confinement.writable)
            stopped = _watch(process, request, samples, deadline_ns, memory_limit, disk, on_look)
        finally:
            process.kill()
            tidy(confinement.writable)
        text = _log_tail(log)
    result = _result(folder, process.returncode or 0, stopped or memory_limit.verdict(), request, text, memory_limit)
    if result.error is not None:
        result = replace(result, error=_blamed(errors.from_dict(result.error), folder).to_dict())
    return Outcome(result, now_ns() - start, samples, text)


def _confinement(folder: Path, request: RunRequest) -> Confinement:
    """What a worker may reach: its own folder and those for artifact and caches; to read, the model and its inputs.

    Files whose coldness is to be proven become the worker's own: the kernel tells only an owner what is in memory.
    """
    give([Path(file) for file in request.cold_files])
    inputs = [item.file for item in request.inputs if item.file is not None]
    inputs += [*request.wishes.files.values(), *(file for batch in request.batches for file in batch.values())]
    given = (request.model, *request.files, *request.cold_files, *inputs)
    return Confinement(
        writable=(folder, Path(request.artifact_dir), Path(request.cache_dir)),
        readable=(*confine_python(), *map(Path, given)),
        limits=Limits(file_bytes=max(1, room.free_bytes(folder))),  # holes count: whoever copies the file fills them
        devices=accelerators(),
    )


def _watch(
    process: Confined,
    request: RunRequest,
    samples: list[MemoryEdge],
    deadline_ns: int | None,
    memory_limit: MemoryLimit,
    disk: room.Watch,
    on_look: Callable[[], None] | None,
) -> errors.Error | None:
    """Wait for the end of the process; the error if a limit was reached before."""
    sampling = request.measure is Measure.MEMORY
    pause = SAMPLE_EVERY_S if sampling else WATCH_EVERY_S if memory_limit.watches else LOOK_EVERY_S
    while not _ended(process, pause, deadline_ns):
        if deadline_ns is not None and now_ns() >= deadline_ns:
            return errors.WorkerTimeout(
                f"the time limit was reached in {request.kind.value.replace('_', ' ')}; the worker was killed",
                hint="raise --timeout, or lower --options '--max_profiler_time'",
            )
        if sampling or memory_limit.watches:
            edge = memory_readings.sample(process.pid)
            if edge is not None and sampling:
                samples.append(edge)
            if edge is not None and (over := memory_limit.exceeded(edge)):
                return over
        if (full := disk.exceeded(process.pid)) is not None:
            return full
        if on_look is not None:
            on_look()
    return None


def _ended(process: Confined, pause_s: float, deadline_ns: int | None) -> bool:
    """Whether the process ended within a pause, without spinning."""
    if deadline_ns is not None:
        pause_s = min(pause_s, max(0.001, (deadline_ns - now_ns()) / 1e9))
    return process.wait(pause_s) is not None


def _result(
    folder: Path, code: int, stopped: errors.Error | None, request: RunRequest, text: str, memory_limit: MemoryLimit
) -> RunResult:
    error = stopped
    if error is None:
        try:
            return _explain_limits(read_result(folder, request), request)
        except FileNotFoundError:
            error = deaths.of_worker(code, request, text, memory_limit)
        except errors.WorkerCrashed as unbelievable:
            error = unbelievable
    if not error.details.get("log"):
        error.details["log"] = text
    return RunResult(request.protocol, error=error.to_dict())


def _blamed(error: errors.Error, folder: Path) -> errors.Error:
    """A worker's error, by what is seen from here: runtimes have words of their own for a full disk, or crash of it.

    That the device is unfit is not to be taken from a worker: it has bounds of its own, and may be anybody's by now.
    """
    unfit = room.trouble(folder)
    if unfit is not None or not isinstance(error, errors.DeviceUnfit):
        return unfit or error
    return errors.WorkerCrashed(f"the worker reached a bound of its own: {error.message}", details=error.details)


def _explain_limits(result: RunResult, request: RunRequest) -> RunResult:
    """A runtime's failed allocation under a memory limit is the limit's doing: say so."""
    message = str((result.error or {}).get("message", "")).lower()
    if request.memory_limit_bytes is None or not any(word in message for word in ("alloc", "memory")):
        return result
    error = limit_error(request.memory_limit_bytes, message, request.kind.value.replace("_", " "))
    return RunResult(request.protocol, error=error.to_dict())


def _log_tail(log: BinaryIO) -> str:
    """The last lines of a log that is still open: under its name, the worker may have left another file, or a link."""
    log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_TAIL_BYTES))
    return untrusted.printable(log.read(LOG_TAIL_BYTES).decode("utf-8", "replace"))
