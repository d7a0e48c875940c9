"""One campaign: what is asked of the device, run by run, and what was found so far. Policy: it touches no file and no process."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Protocol

from dynolab import errors
from dynolab.measure.campaign_messages import Campaign, Measured
from dynolab.measure.device import Device
from dynolab.measure.orders import ARTIFACT_FOLDER, CACHE_FOLDER, Files, Place, Ran, Run, Survey
from dynolab.measure.protocol import (
    PROTOCOL_VERSION,
    Inspection,
    Measure,
    RunKind,
    RunRequest,
    RunResult,
)
from dynolab.measure.time_range import reference_name
from dynolab.spec import options as options_module
from dynolab.spec.measurements import StageName
from dynolab.spec.models import Description

LOG_KEPT_BYTES = 20_000
REFERENCE_LOOKS = 10
"""At the reference kernel, each of 0.3 ms: the shortest counts."""


class Describe(Protocol):
    """Reads a model's file on the machine that asks."""

    def __call__(self, shapes: Mapping[str, tuple[int, ...]] | None = None) -> Description:
        """What it tells, with all shapes bound to these; None: with those that the user said."""


class Runner:
    """Has single runs of one campaign carried out and gathers what they tell."""

    def __init__(self, device: Device, survey: Survey, campaign: Campaign, describe: Describe | None = None) -> None:
        """``describe``: None where the device describes the model itself."""
        self.device, self._survey, self.describe = device, survey, describe
        self.campaign = campaign
        self.options = options_module.parse(campaign.options_text)
        self.started_ns = device.now_ns
        wishes, batches = campaign.wishes, (file for batch in campaign.batches for file in batch.values())
        prepared = device.prepare(
            Place(
                campaign.place,
                files=campaign.files,
                given=(*wishes.files.values(), *batches),
                memory_limit_bytes=campaign.memory_limit_bytes,
            )
        )
        self.limit_method = prepared.memory_limit_method
        self._threads = {1}
        self.runs = 0
        self.last: Ran | None = None
        self.logs: list[str] = []
        self.measured = Measured(
            protocol=PROTOCOL_VERSION,
            error=None,
            log="",
            wall_ns=0,
            work_ns=0,
            device=survey.device,
            environment=survey.environment,
            best=dict(campaign.best),
            memory_reason=survey.memory_reason,
            memory_resolution_bytes=survey.memory_resolution_bytes,
            memory_method=survey.memory_method,
        )

    @property
    def now_ns(self) -> int:
        """The device's clock, as its last answer told it."""
        return self.device.now_ns

    def tell(self, **event: Any) -> None:
        """An event of progress."""
        self.device.tell(event)

    def look_at_reference(self) -> None:
        """The reference kernel's times outside any model's process, alone and on as many threads as the model has.

        They judge this campaign's windows, and are what the device's record is made of: what a model's process tells
        could spoil that for all others.
        """
        own = dict(self.measured.own)
        for threads, time_ns in self.device.reference(sorted(self._threads), REFERENCE_LOOKS).items():
            name = reference_name(threads)
            own[name] = min(own.get(name, time_ns), float(time_ns))
        best = {name: min(value, self.measured.best.get(name, value)) for name, value in own.items()}
        self.note(own=own, best=self.measured.best | best)

    def note(self, **changes: Any) -> None:
        """Add to what was measured."""
        self.measured = replace(self.measured, **changes)

    def finish(self) -> Measured:
        """Everything, with the wall time and the end of the log."""
        if self.campaign.measures:
            self.look_at_reference()
        self.note(wall_ns=self.now_ns - self.started_ns, log="".join(self.logs)[-LOG_KEPT_BYTES:])
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
            artifact_dir=f"{campaign.folder}/{ARTIFACT_FOLDER}",
            cache_dir=f"{campaign.folder}/{CACHE_FOLDER}",
            options_text=campaign.options_text,
            seed=campaign.seed,
            inputs=found.inputs if found else (),
            outputs=found.outputs if found else (),
            effective=self.measured.effective,
            wishes=campaign.wishes,
            time_limit_ns=int(self.options.max_profiler_time_s * 1e9),
            files=campaign.files,
            readings=self._survey.readings,
        )
        return replace(request, **changes)

    def spawn(self, request: RunRequest, files: Files = Files.AS_THEY_ARE, **watched: bool) -> Ran:
        """One run, its files made so before it; ``watched``: as :class:`Run` has it. Raises the model's error, if there is one."""
        return self.finished(self.device.run(self.order(request, files, **watched)), request)

    def order(self, request: RunRequest, files: Files, **watched: bool) -> Run:
        """A run as the device is told of it."""
        self.runs += 1
        return Run(self.campaign.place, request, files, self._left_s(), **watched)

    def _left_s(self) -> float | None:
        """What is left of the campaign's time."""
        if self.campaign.timeout_s is None:
            return None
        return max(0.001, self.campaign.timeout_s - (self.now_ns - self.started_ns) / 1e9)

    def finished(self, ran: Ran, request: RunRequest) -> Ran:
        """Keep what came of a run; raises the error of the model, if there is one."""
        self.last = ran
        self.note(work_ns=self.measured.work_ns + ran.wall_ns)
        if ran.log:
            self.logs.append(f"--- {request.kind} ({request.measure}), run {self.runs}\n{ran.log.rstrip()}\n")
        if ran.result.error is not None:
            raise errors.from_dict(ran.result.error)
        self._learn(ran.result)
        return ran

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
            most = self._survey.cores
            self._threads |= {min(most, sorted(window.threads for window in windows)[len(windows) // 2])}

    @property
    def is_parallel(self) -> bool:
        """Whether the model ran on several threads at once, as far as was seen."""
        return max(self._threads) > 1
