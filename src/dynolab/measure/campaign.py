"""One campaign on the device: its folders, its worker runs, and what they have found so far."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

from dynolab import errors
from dynolab.measure import environment, memory_limit, memory_readings, pagecache, process, witnesses
from dynolab.measure.campaign_messages import ARTIFACT_FOLDER, Campaign, Measured
from dynolab.measure.clock import now_ns
from dynolab.measure.protocol import (
    PROTOCOL_VERSION,
    Inspection,
    Measure,
    RunKind,
    RunRequest,
    RunResult,
)
from dynolab.measure.readings import reference_kernel
from dynolab.measure.time_range import reference_name
from dynolab.sandbox import base as sandbox
from dynolab.spec import options as options_module
from dynolab.spec import untrusted
from dynolab.spec.measurements import StageName

LOG_KEPT_BYTES = 20_000


def emit(**event: Any) -> None:
    """One line of progress, as JSON on standard output."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


REFERENCE_LOOKS = 10
"""At the reference kernel, each of 0.3 ms: the shortest counts."""


class Runner:
    """Carries out single runs of one campaign and gathers what they tell."""

    def __init__(self, folder: Path, campaign: Campaign) -> None:
        self.folder = folder
        self.campaign = campaign
        self.options = options_module.parse(campaign.options_text)
        self.started_ns = now_ns()
        self.deadline_ns = None if campaign.timeout_s is None else self.started_ns + int(campaign.timeout_s * 1e9)
        self.sandbox = sandbox.strongest()
        self.memory_limit = memory_limit.make(campaign.memory_limit_bytes)
        self.artifact_dir, self.cache_dir = folder / ARTIFACT_FOLDER, folder / "cache"
        for place in (self.artifact_dir, self.cache_dir):
            place.mkdir()
        self._give_files()
        self._threads = {1}
        self.readings = witnesses.all_names()
        self.runs = 0
        self.logs: list[str] = []
        self.measured = Measured(
            protocol=PROTOCOL_VERSION,
            error=None,
            log="",
            wall_ns=0,
            work_ns=0,
            device=environment.device_facts(),
            environment=environment.environment() | {"sandbox": sandbox.told(self.sandbox)},
            best=dict(campaign.best),
            memory_reason=memory_readings.unavailable(),
            memory_resolution_bytes=memory_readings.resolution_bytes(),
            memory_method=memory_readings.method(),
        )

    def look_at_reference(self) -> None:
        """The reference kernel's times in this process now, alone and on as many threads as the model has.

        They judge this campaign's windows, and are what the device's record is made of: what a model's process tells
        could spoil that for all others.
        """
        own, team = dict(self.measured.own), reference_kernel.KernelTeam()
        for threads in self._threads:
            name, now = reference_name(threads), min(team.slowest_ns(threads) for _ in range(REFERENCE_LOOKS))
            own[name] = min(own.get(name, now), float(now))
        team.close()
        best = {name: min(value, self.measured.best.get(name, value)) for name, value in own.items()}
        self.note(own=own, best=self.measured.best | best)

    def _give_files(self) -> None:
        """Let the workers, who may be somebody else, read what was pushed here: it may be closed to all others."""
        given, wishes = self.campaign, self.campaign.wishes
        batches = (file for batch in given.batches for file in batch.values())
        sandbox.give(map(Path, (*given.files, *wishes.files.values(), *batches)))

    def note(self, **changes: Any) -> None:
        """Add to what was measured."""
        self.measured = replace(self.measured, **changes)

    def finish(self) -> Measured:
        """Everything, with the wall time and the end of the log."""
        self.memory_limit.close()
        if self.campaign.measures:
            self.look_at_reference()
        self.note(wall_ns=now_ns() - self.started_ns, log="".join(self.logs)[-LOG_KEPT_BYTES:])
        return self.measured

    @property
    def inspection(self) -> Inspection:
        """What the inspection found; it comes before everything else."""
        if self.measured.inspection is None:
            raise errors.Bug("a run was asked for before the inspection")
        return self.measured.inspection

    @property
    def fastest_ns(self) -> int:
        """The inference's minimum so far."""
        return min(min(run.values_ns) for run in self.measured.timing[StageName.INFERENCE])

    # -- runs ---------------------------------------------------------------------------------------------------

    def request(self, kind: RunKind, measure: Measure, **changes: Any) -> RunRequest:
        """A request of this campaign; inputs and outputs as the inspection found them."""
        found, campaign = self.measured.inspection, self.campaign
        request = RunRequest(
            protocol=PROTOCOL_VERSION,
            kind=kind,
            measure=measure,
            runtime=campaign.runtime,
            model=campaign.model,
            format=campaign.format,
            artifact_dir=str(self.artifact_dir),
            cache_dir=str(self.cache_dir),
            options_text=campaign.options_text,
            seed=campaign.seed,
            inputs=found.inputs if found else (),
            outputs=found.outputs if found else (),
            effective=self.measured.effective,
            wishes=campaign.wishes,
            time_limit_ns=int(self.options.max_profiler_time_s * 1e9),
            memory_limit_bytes=campaign.memory_limit_bytes if self.memory_limit.watches else None,
            files=campaign.files,
            cold_files=(*campaign.files, *map(str, self.artifact_files())),
            readings=self.readings,
        )
        return replace(request, **changes)

    def next_folder(self) -> Path:
        """Where the next run will work."""
        return self.folder / "runs" / f"{self.runs + 1:03d}"

    def last_folder(self) -> Path:
        """Where the last run worked."""
        return self.folder / "runs" / f"{self.runs:03d}"

    def spawn(self, request: RunRequest, on_look: Callable[[], None] | None = None) -> process.Outcome:
        """One run; raises the error of the model, if there is one."""
        with self.start(request) as worker:
            worker.watch(on_look=on_look)
        return self.finished(worker)

    def start(self, request: RunRequest, *, stdin: int = subprocess.DEVNULL) -> process.Worker:
        """The worker of one run, as a context; :meth:`finished` comes after it."""
        folder = self.next_folder()
        self.runs += 1
        return process.Worker(
            folder,
            request,
            deadline_ns=self.deadline_ns,
            memory_limit=self.memory_limit,
            sandbox=self.sandbox,
            stdin=stdin,
        )

    def finished(self, worker: process.Worker) -> process.Outcome:
        """What came of a worker that is over; raises the error of the model, if there is one."""
        outcome, request = worker.outcome, worker.request
        self.note(work_ns=self.measured.work_ns + outcome.wall_ns)
        if outcome.log:
            self.logs.append(f"--- {request.kind} ({request.measure}), run {self.runs}\n{outcome.log.rstrip()}\n")
        if outcome.result.error is not None:
            raise errors.from_dict(outcome.result.error)
        self._learn(outcome.result)
        return outcome

    def _learn(self, result: RunResult) -> None:
        """Keep what any run tells: versions, import times, the best reference readings of this device."""
        if result.versions:
            self.note(versions=result.versions)
        if result.import_ns is not None:
            self.note(import_times_ns=(*self.measured.import_times_ns, result.import_ns))
        if result.effective:
            self.note(effective=self.measured.effective | result.effective)  # a load knows less than an inference
        windows = [window for seen in result.stages.values() for window in seen.windows]
        if windows:
            most = os.cpu_count() or 1
            self._threads |= {min(most, sorted(window.threads for window in windows)[len(windows) // 2])}

    @property
    def is_parallel(self) -> bool:
        """Whether the model ran on several threads at once, as far as was seen."""
        return max(self._threads) > 1

    # -- files --------------------------------------------------------------------------------------------------

    def artifact_files(self) -> list[Path]:
        """The artifact's files, sorted; none before it was compiled."""
        return [path for path, _ in untrusted.files_in(self.artifact_dir)]

    def wipe(self) -> None:
        """Empty the artifact's and the caches' folders."""
        for folder in (self.artifact_dir, self.cache_dir):
            untrusted.remove(folder)
            folder.mkdir()

    def make_cold(self) -> None:
        """Wipe the runtime's caches; put the files of model and artifact out of the page cache."""
        untrusted.remove(self.cache_dir)
        self.cache_dir.mkdir()
        for path in (*map(Path, self.campaign.files), *self.artifact_files()):
            pagecache.evict(path, inside=self.folder)

    def make_warm(self) -> None:
        """Have all files in the page cache, as a load that just happened leaves them."""
        cached = [path for path, _ in untrusted.files_in(self.cache_dir)]
        for path in (*map(Path, self.campaign.files), *self.artifact_files(), *cached):
            with untrusted.open_file(path, inside=self.folder) as file:
                while file.read(1 << 22):
                    pass
