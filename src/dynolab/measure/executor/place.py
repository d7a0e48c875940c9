"""One model's place in the workspace: its folders, its worker runs, and what its files are made to be before them."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from dynolab import errors
from dynolab.measure import pagecache
from dynolab.measure.clock import now_ns
from dynolab.measure.executor import memory_limit, process
from dynolab.measure.executor.energy_meter import Meter
from dynolab.measure.executor.loop_watch import LoopWatch
from dynolab.measure.orders import ARTIFACT_FOLDER, CACHE_FOLDER, RUNS_FOLDER, Files, Place, Ran, Run
from dynolab.measure.protocol import CANDIDATE_FILE, VALUES_FILE, RunKind, RunRequest
from dynolab.sandbox import base as sandbox
from dynolab.spec import untrusted

Progress = Callable[[int, int, int], None]
"""Is told iterations done, of how many, and the shortest so far in ns."""
_ASIDE = "artifact.kept"


class PlaceFolder:
    """A place that was prepared. Each run is a fresh, confined process in a folder of its own."""

    def __init__(self, workspace: Path, place: Place) -> None:
        self.folder = workspace / place.name
        self._files = tuple(map(Path, place.files))
        self._limit_bytes = place.memory_limit_bytes
        self._sandbox = sandbox.strongest()
        self.memory_limit = memory_limit.make(place.memory_limit_bytes)
        self._artifact, self._cache = self.folder / ARTIFACT_FOLDER, self.folder / CACHE_FOLDER
        for folder in (self._artifact, self._cache):
            folder.mkdir(parents=True)
        # Workers may be somebody else, and what was pushed may be closed to all others.
        sandbox.give(map(Path, (*place.files, *place.given)))
        self._runs = 0

    def close(self) -> None:
        """Remove what was set up besides files."""
        self.memory_limit.close()

    # -- runs -----------------------------------------------------------------------------------------------------

    def run(self, order: Run, progress: Progress) -> Ran:
        """One run from its start to its end."""
        self.make(order.files)
        meter = Meter() if order.reads_energy else None
        watched = order.shows_progress or order.reads_energy
        with self.start(order) as worker:
            worker.watch(on_look=self._look(worker, progress, meter) if watched else None)
        return replace(self.told(worker), energy=tuple(meter.samples) if meter else ())

    def start(self, order: Run, *, stdin: int = subprocess.DEVNULL) -> process.Worker:
        """The worker of one run, as a context; :meth:`told` comes after it."""
        self._runs += 1
        deadline_ns = None if order.timeout_s is None else now_ns() + int(order.timeout_s * 1e9)
        return process.Worker(
            self.folder / RUNS_FOLDER / f"{self._runs:03d}",
            self._completed(order.request),
            deadline_ns=deadline_ns,
            memory_limit=self.memory_limit,
            sandbox=self._sandbox,
            stdin=stdin,
        )

    def _completed(self, request: RunRequest) -> RunRequest:
        """The request with what is known here alone: which files there are, and who keeps the memory limit."""
        watched = self._limit_bytes if self.memory_limit.watches else None
        cold = map(str, (*self._files, *self._artifact_files()))
        return replace(request, cold_files=tuple(cold), memory_limit_bytes=watched)

    def told(self, worker: process.Worker) -> Ran:
        """What came of a worker that is over."""
        outcome, kind = worker.outcome, worker.request.kind
        crashed = outcome.result.error is not None and kind is RunKind.INSPECT
        return Ran(
            result=outcome.result,
            wall_ns=outcome.wall_ns,
            samples=tuple(outcome.samples),
            log=outcome.log,
            candidate=tried(worker.folder) if crashed else None,
            file_system=pagecache.file_system(self._files[0]) if kind is RunKind.FIRST_LOAD else None,
        )

    def _look(self, worker: process.Worker, progress: Progress, meter: Meter | None) -> Callable[[], None]:
        request = worker.request
        watch = LoopWatch(worker.folder / VALUES_FILE, request.room)

        def look() -> None:
            watch.look()
            if meter is not None:
                meter.look(watch.count)
            elif watch.count:
                progress(watch.count, max(request.iterations, watch.count), watch.minimum_ns)

        return look

    # -- files ----------------------------------------------------------------------------------------------------

    def make(self, files: Files) -> None:
        """Have the place's files as a run wants them."""
        if files is Files.EMPTY:
            self._emptied(self._artifact)
            self._emptied(self._cache)
        elif files is Files.COLD:
            self._emptied(self._cache)
            for path in (*self._files, *self._artifact_files()):
                pagecache.evict(path, inside=self._above(path))
        elif files is Files.WARM:
            cached = [path for path, _ in untrusted.files_in(self._cache)]
            for path in (*self._files, *self._artifact_files(), *cached):
                with untrusted.open_file(path, inside=self._above(path)) as file:
                    while file.read(1 << 22):
                        pass

    def set_aside(self) -> None:
        """Keep the artifact for later; its folder is empty."""
        self._artifact.rename(self.folder / _ASIDE)
        self._artifact.mkdir()

    def put_back(self) -> None:
        """Have what was set aside as the artifact again."""
        untrusted.remove(self._artifact)
        (self.folder / _ASIDE).rename(self._artifact)

    def _artifact_files(self) -> list[Path]:
        """Sorted; none before the model was compiled."""
        return [path for path, _ in untrusted.files_in(self._artifact)]

    def _above(self, path: Path) -> Path:
        """The folder below which no link is followed: the model's own files may be kept outside the workspace."""
        return self.folder if path.is_relative_to(self.folder) else path.parent

    @staticmethod
    def _emptied(folder: Path) -> None:
        untrusted.remove(folder)
        folder.mkdir()


def tried(folder: Path) -> int | None:
    """The number of the candidate that a run was at when it ended; None where it does not say."""
    try:
        return int(untrusted.read_bytes(folder / CANDIDATE_FILE, inside=folder, most=20))
    except (OSError, ValueError, errors.Forbidden):
        return None
