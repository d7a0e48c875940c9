"""One worker process: started, watched, sampled, limited and, if it must be, killed with all its children."""

from __future__ import annotations

import os
import select
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import BinaryIO

from dynolab import errors
from dynolab.measure import memory_readings, room
from dynolab.measure.clock import now_ns
from dynolab.measure.executor import worker_deaths
from dynolab.measure.executor.memory_limit import MemoryLimit, limit_error
from dynolab.measure.protocol import (
    LOG_FILE,
    REQUEST_FILE,
    SCRATCH_FOLDER,
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
    with Worker(folder, request, deadline_ns=deadline_ns, memory_limit=memory_limit, sandbox=sandbox) as worker:
        worker.watch(on_look=on_look)
    return worker.outcome


class Worker:
    """One worker process as a context: at its end nothing of the process is left, and ``outcome`` tells what came of it."""

    def __init__(
        self,
        folder: Path,
        request: RunRequest,
        *,
        deadline_ns: int | None,
        memory_limit: MemoryLimit,
        sandbox: Sandbox,
        stdin: int = subprocess.DEVNULL,
    ) -> None:
        self.request, self.folder = request, folder
        self._deadline_ns, self._memory_limit, self._sandbox, self._stdin = deadline_ns, memory_limit, sandbox, stdin
        self._samples: list[MemoryEdge] = []
        self._stopped: errors.Error | None = None
        self._text = ""
        self._start_ns = self._end_ns = 0

    def __enter__(self) -> Worker:
        folder = self.folder
        folder.mkdir(parents=True)
        write(self.request, folder / REQUEST_FILE)
        self._confinement = _confinement(folder, self.request)
        self._start_ns = now_ns()
        self._log = (folder / LOG_FILE).open("w+b")
        command = [sys.executable, "-P", "-m", "dynolab.measure.worker", str(folder)]
        try:
            self._process = self._sandbox.start(
                command, self._confinement, stdin=self._stdin, stdout=self._log, stderr=subprocess.STDOUT
            )
        except BaseException:
            self._log.close()
            raise
        try:
            self._memory_limit.admit(self._process.pid)
            self._disk = room.Watch(self._confinement.writable)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        with self._log:
            self._process.kill()
            tidy(self._confinement.writable)
            untrusted.remove(self.folder / SCRATCH_FOLDER)
            self._text = _log_tail(self._log)
        self._end_ns = now_ns()

    @property
    def pid(self) -> int:
        """Of the worker itself, as this side sees it."""
        return self._process.pid

    def settle(self, within_s: float) -> None:
        """Give it a little time to end by itself, unless it reached a limit."""
        if self._stopped is None:
            self._process.wait(within_s)

    def watch(self, *, news: int | None = None, on_look: Callable[[], None] | None = None) -> bool:
        """Wait until the process ended or reached a limit (False), or the file ``news`` has something to read (True)."""
        request, sampling = self.request, self.request.measure is Measure.MEMORY
        watched = self._memory_limit.watches
        pause = SAMPLE_EVERY_S if sampling else WATCH_EVERY_S if watched else LOOK_EVERY_S
        while (ended := _ended(self._process, pause, self._deadline_ns, news)) is None:
            if self._deadline_ns is not None and now_ns() >= self._deadline_ns:
                self._stopped = errors.WorkerTimeout(
                    f"the time limit was reached in {request.kind.value.replace('_', ' ')}; the worker was killed",
                    hint="raise --timeout, or lower --options '--max_profiler_time'",
                )
            elif (full := self._look(sampling)) is not None:
                self._stopped = full
            if self._stopped is not None:
                return False
            if on_look is not None:
                on_look()
        return not ended

    def _look(self, sampling: bool) -> errors.Error | None:
        """Sample its memory, where that is wanted; the error of a limit that it is over."""
        if sampling or self._memory_limit.watches:
            edge = memory_readings.sample(self._process.pid)
            if edge is not None and sampling:
                self._samples.append(edge)
            if edge is not None and (over := self._memory_limit.exceeded(edge)):
                return over
        return self._disk.exceeded(self._process.pid)

    @property
    def outcome(self) -> Outcome:
        """What came of it, once it is over."""
        stopped = self._stopped or self._memory_limit.verdict()
        code = self._process.returncode or 0
        result = _result(self.folder, code, stopped, self.request, self._text, self._memory_limit)
        if result.error is not None:
            result = replace(result, error=_blamed(errors.from_dict(result.error), self.folder).to_dict())
        return Outcome(result, self._end_ns - self._start_ns, self._samples, self._text)


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


def _ended(process: Confined, pause_s: float, deadline_ns: int | None, news: int | None) -> bool | None:
    """Whether the process ended within a pause, without spinning; False: there are news before that, None: neither."""
    if deadline_ns is not None:
        pause_s = min(pause_s, max(0.001, (deadline_ns - now_ns()) / 1e9))
    if news is None:
        return True if process.wait(pause_s) is not None else None
    poller = select.poll()
    poller.register(news, select.POLLIN)
    poller.register(process, select.POLLIN)
    ready = {file for file, _ in poller.poll(pause_s * 1000)}
    if process.fileno() in ready and process.poll() is not None:
        return True
    return False if news in ready else None


def _result(
    folder: Path, code: int, stopped: errors.Error | None, request: RunRequest, text: str, memory_limit: MemoryLimit
) -> RunResult:
    error = stopped
    if error is None:
        try:
            return _explain_limits(read_result(folder, request), request)
        except FileNotFoundError:
            error = worker_deaths.of_worker(code, request, text, memory_limit)
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
