"""The timing passes of a campaign: compile, cold loads, warm loads with the loop after them; more while a range is wide."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

from dynolab import errors
from dynolab.measure import environment, plan, verdict
from dynolab.measure.campaign import Runner
from dynolab.measure.orders import Files
from dynolab.measure.plan import Tries
from dynolab.measure.protocol import Measure, RunKind, RunResult, StagePass
from dynolab.measure.time_range import time_range
from dynolab.measure.timing_runs import chosen, process_times, window_of
from dynolab.spec.measurements import StageName
from dynolab.spec.profiles import NARROW, ColdProof, TimingRun, Trust


class TimingPasses:
    """All timing passes of one campaign."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._loop_ns = 0
        """What warm-ups and loops took so far."""

    def carry_out(self) -> None:
        """In the order of the stages: the warm loads come with the loop's processes, after the last cold one."""
        runner, repeats = self.runner, self.runner.campaign.repeats
        if runner.inspection.compiles:
            try:
                self._compile()
            except errors.PluginMissing as error:
                runner.note(inspection=replace(runner.inspection, compiles=False))
                runner.note(compile_reason=error.message + (f" ({error.hint})" if error.hint else ""))
        self._tried(StageName.FIRST_LOAD, plan.load_tries(repeats), self._cold_load)
        self._inference()

    def _compile(self) -> None:
        def compile_once(index: int) -> None:
            self._process(RunKind.COMPILE, index, Files.EMPTY)

        compile_once(0)
        first_ns = self.runner.measured.timing[StageName.COMPILE][0].values_ns[0]
        if first_ns < plan.SHORT_COMPILE_NS:
            self._tried(StageName.COMPILE, plan.load_tries(self.runner.campaign.repeats), compile_once, done=1)

    def _cold_load(self, index: int) -> None:
        self._process(RunKind.FIRST_LOAD, index, Files.COLD)

    def _inference(self) -> None:
        """Its processes load warm first: they go on while the loop's range is wide, or the load's within its own bounds."""
        options, repeats = self.runner.options, self.runner.campaign.repeats
        planned, tries = plan.loop_iterations(options, repeats), plan.loop_tries(options, repeats)
        limit_ns = int(options.max_profiler_time_s * 1e9)
        given = options.max_profiler_iterations is not None

        def load_and_loop(index: int, *, settles: bool = not given) -> None:
            left = max(1, len(planned) - index)
            changes = {
                "iterations": planned[index] if index < len(planned) else 1,  # beyond the plan: calm windows, no share
                "most_iterations": plan.SETTLE_MOST if settles else 0,
                "settle_within_ns": plan.SETTLE_WITHIN_NS,
                "time_limit_ns": max(1, (limit_ns - self._loop_ns) // left),
            }
            self._process(RunKind.INFERENCE, index, Files.WARM, **changes)

        self._tried(StageName.INFERENCE, tries, load_and_loop)
        if tries.more:
            done = len(self.runner.measured.timing[StageName.INFERENCE])
            load_alone = partial(load_and_loop, settles=False)
            self._tried(StageName.WARM_LOAD, plan.load_tries(repeats), load_alone, done=done)

    def _tried(self, stage: StageName, tries: Tries, process: Callable[[int], None], *, done: int = 0) -> None:
        """The processes of the plan, ``done`` of them already, and more while that may narrow the stage's range."""
        begun_ns = self.runner.now_ns
        for index in range(done, tries.planned + tries.more):
            more = index >= tries.planned
            if more and (
                not self._may_narrow(stage)
                or self.runner.now_ns - begun_ns >= tries.more_within_ns
                or self._time_is_up()
            ):
                return
            process(index)
            if not more:
                begun_ns = self.runner.now_ns

    def _time_is_up(self) -> bool:
        return self._loop_ns >= int(self.runner.options.max_profiler_time_s * 1e9)

    def _may_narrow(self, stage: StageName) -> bool:
        """Whether more processes of a stage may bring something; of those that kept its conditions.

        Of a loop on one thread, which has many windows, any process may find calm ones. A load has one window, and several CPUs
        are at full speed together by chance seldom: where no process was calm, the next will not be either.
        """
        runs = [run for run in chosen(self.runner.measured.timing[stage]) if run.chosen]
        if len(runs) < 2 or any(run.verdict.trust is Trust.INVALID for run in runs):
            return True
        measured = self.runner.measured
        shared = environment.is_shared(measured.environment)
        found = time_range([process_times(run) for run in runs], measured.best, is_shared=shared)
        is_on_one = stage is StageName.INFERENCE and all(one.threads == 1 for run in runs for one in run.windows)
        return found.width > NARROW and (is_on_one or found.calm_processes > 0)

    def _process(self, kind: RunKind, index: int, files: Files, **changes: Any) -> None:
        """One process of a timing pass, with all stages that it goes through."""
        self.runner.tell(event="stage", stage=kind, text="time", process=index + 1)
        request = self.runner.request(kind, Measure.TIME, best=self.runner.measured.best, **changes)
        ran = self.runner.spawn(request, files, shows_progress=kind is RunKind.INFERENCE)
        result = ran.result
        if kind is RunKind.FIRST_LOAD:
            proof = cold_proof(result, ran.file_system)
            self.runner.note(cold=(*self.runner.measured.cold, proof))
        timing = dict(self.runner.measured.timing)
        for stage, seen in result.stages.items():
            timing[stage] = (*timing.get(stage, ()), self._judged(stage, seen, index))
            self._note(stage, seen)
            self._loop_ns += sum(seen.values_ns) + sum(seen.warmup_ns) if stage == StageName.INFERENCE else 0
        self.runner.note(timing=timing)

    def _judged(self, stage: str, seen: StagePass, index: int) -> TimingRun:
        if seen.witnesses is None:
            raise errors.Bug("a timing run left no witnesses")
        judged = verdict.judge_conditions(seen.witnesses, warm=stage == StageName.WARM_LOAD)
        if stage == StageName.FIRST_LOAD:
            judged = verdict.combine([judged, verdict.judge_cold(self.runner.measured.cold[-1])])
        return TimingRun(
            process=index + 1,
            attempt=1,
            chosen=True,
            values_ns=seen.values_ns,
            warmup_ns=seen.warmup_ns,
            first_ns=seen.first_ns,
            witnesses=seen.witnesses,
            verdict=judged,
            windows=seen.windows or (window_of(seen.witnesses),),
        )

    def _note(self, stage: str, seen: StagePass) -> None:
        """What a run shows besides its time: files that it left, accelerator memory."""
        measured = self.runner.measured
        self.runner.note(files={**measured.files, stage: seen.files or measured.files.get(stage, ())})
        if seen.accelerator:
            self.runner.note(accelerator={**measured.accelerator, stage: seen.accelerator})


def cold_proof(result: RunResult, file_system: str | None) -> ColdProof:
    """What one first load shows of its coldness: residency just before it, blocks read and major faults in it."""
    found, witnesses = result.residency, result.stages[StageName.FIRST_LOAD].witnesses
    grown = witnesses.grown if witnesses else {}
    if found is None:
        raise errors.Bug("a first load left no residency")
    resident, total = found.resident_bytes, found.total_bytes
    blocks, faults = grown.get("faults.read_bytes"), grown.get("faults.major")
    if resident is None:
        reason = found.reason or "residency is not known"
    elif resident:
        reason = f"{resident} of {total} bytes of the model's files could not be put out of the page cache"
    else:
        reason = f"none of {total} bytes of the model's files was in the page cache just before the load"
    return ColdProof(
        proven=resident == 0,
        reason=reason + (f" (file system {file_system})" if file_system else ""),
        resident_before_bytes=resident,
        total_bytes=total,
        blocks_read_bytes=None if blocks is None else int(blocks),
        major_faults=None if faults is None else int(faults),
        file_system=file_system,
    )
