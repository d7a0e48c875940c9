"""The timing passes of a campaign: compile, cold loads, warm loads with the loop after them; noisy ones again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from itertools import takewhile
from pathlib import Path
from typing import Any

from dynolab import errors
from dynolab.measure import pagecache, plan, verdict
from dynolab.measure.campaign import Runner, emit
from dynolab.measure.protocol import VALUES_FILE, Measure, RunKind, RunRequest, RunResult, StagePass
from dynolab.spec import untrusted
from dynolab.spec.measurements import StageName
from dynolab.spec.profiles import ColdProof, TimingRun, Trust


class TimingPasses:
    """All timing passes of one campaign."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._spent_ns = 0
        self._noisy_in_a_row = 0

    def carry_out(self) -> None:
        """In the order of the stages: the warm loads come with the loop's processes, after the last cold one."""
        runner = self.runner
        if runner.inspection.compiles:
            try:
                self._compile()
            except errors.PluginMissing as error:
                runner.note(inspection=replace(runner.inspection, compiles=False))
                runner.note(compile_reason=error.message + (f" ({error.hint})" if error.hint else ""))
        for index in range(runner.campaign.repeats):
            self._process(RunKind.FIRST_LOAD, index, runner.make_cold)
        self._inference()

    def _compile(self) -> None:
        self._process(RunKind.COMPILE, 0, self.runner.wipe)
        first = self.runner.measured.timing[StageName.COMPILE][0].values_ns[0]
        for index in range(1, plan.compile_runs(first, self.runner.campaign.repeats)):
            self._process(RunKind.COMPILE, index, self.runner.wipe)

    def _inference(self) -> None:
        options = self.runner.options
        limit_ns = int(options.max_profiler_time_s * 1e9)
        processes = plan.timing_processes(options, self.runner.campaign.repeats)
        for index, iterations in enumerate(processes):
            left_ns = max(1, (limit_ns - self._spent_ns) // (len(processes) - index))
            changes = {"iterations": iterations, "time_limit_ns": left_ns}
            self._process(RunKind.INFERENCE, index, self.runner.make_warm, **changes)

    def _process(self, kind: RunKind, index: int, prepare: Callable[[], None], **changes: Any) -> None:
        """One process of a timing pass, tried again while its witnesses call it noisy; all tries are kept.

        Each stage that the process goes through chooses its own try.
        """
        tries: dict[str, list[TimingRun]] = {}
        for attempt in range(1, plan.MAX_TRIES + 1):
            prepare()
            emit(event="stage", stage=kind, text="time", process=index + 1, attempt=attempt)
            request = self.runner.request(kind, Measure.TIME, **changes)
            result = self.runner.spawn(request, self._progress(request)).result
            for stage, seen in result.stages.items():
                tries.setdefault(stage, []).append(self._judged(stage, seen, index, attempt))
                self._note(stage, seen)
            if kind is RunKind.FIRST_LOAD:
                self._note_cold(result)
            if not self._another({stage: runs[-1] for stage, runs in tries.items()}):
                break
        timing = dict(self.runner.measured.timing)
        for stage, runs in tries.items():
            best = verdict.best_try([run.verdict for run in runs])
            chosen = (replace(run, chosen=number == best) for number, run in enumerate(runs))
            timing[stage] = (*timing.get(stage, ()), *chosen)
        self.runner.note(timing=timing)

    def _judged(self, stage: str, seen: StagePass, index: int, attempt: int) -> TimingRun:
        if seen.witnesses is None:
            raise errors.Bug("a timing run left no witnesses")
        warm = stage in (StageName.WARM_LOAD, StageName.INFERENCE)
        return TimingRun(
            process=index + 1,
            attempt=attempt,
            chosen=False,
            values_ns=seen.values_ns,
            warmup_ns=seen.warmup_ns,
            first_ns=seen.first_ns,
            witnesses=seen.witnesses,
            verdict=verdict.judge_timing(seen.witnesses, best=self.runner.measured.best, warm=warm),
        )

    def _another(self, last: Mapping[str, TimingRun]) -> bool:
        """Whether to try a process again: a stage of it needs a calm one, a calmer moment is likely, the budget allows it.

        Retries of the loop count against its time budget; what takes as long as a long compilation is never repeated.
        """
        used_ns = sum(sum(run.values_ns) + sum(run.warmup_ns) for run in last.values())
        loop = last.get(StageName.INFERENCE)
        loop_ns = sum(loop.values_ns) + sum(loop.warmup_ns) if loop else 0
        self._spent_ns += loop_ns
        if all(run.verdict.trust is Trust.CLEAN for run in last.values()):
            self._noisy_in_a_row = 0
            return False
        if not any(self._lacks_calm(stage, run) for stage, run in last.items()):
            return False
        self._noisy_in_a_row += 1
        if self._noisy_in_a_row >= plan.HOPELESS_TRIES:
            return False
        if loop:
            return self._spent_ns + loop_ns < int(self.runner.options.max_profiler_time_s * 1e9)
        return used_ns < plan.SHORT_COMPILE_NS

    def _lacks_calm(self, stage: str, last: TimingRun) -> bool:
        """Whether this run of a stage was disturbed, and the stage has not enough undisturbed ones already."""
        if last.verdict.trust is Trust.CLEAN:
            return False
        runs = self.runner.measured.timing.get(stage, ())
        calm = sum(run.chosen and run.verdict.trust is Trust.CLEAN for run in runs)
        return calm < (plan.CALM_PROCESSES if stage == StageName.INFERENCE else 1)

    def _note(self, stage: str, seen: StagePass) -> None:
        """What a run shows besides its time: files that it left, accelerator memory."""
        measured = self.runner.measured
        self.runner.note(files={**measured.files, stage: seen.files or measured.files.get(stage, ())})
        if seen.accelerator:
            self.runner.note(accelerator={**measured.accelerator, stage: seen.accelerator})

    def _note_cold(self, result: RunResult) -> None:
        proof = cold_proof(result, pagecache.file_system(Path(self.runner.campaign.model)))
        self.runner.note(cold=(*self.runner.measured.cold, proof))

    def _progress(self, request: RunRequest) -> Callable[[], None] | None:
        if request.kind is not RunKind.INFERENCE:
            return None
        watch = LoopWatch(self.runner.next_folder() / VALUES_FILE, request.iterations)

        def look() -> None:
            watch.look()
            if watch.count:
                emit(event="iteration", count=watch.count, of=request.iterations, minimum_ns=watch.minimum_ns)

        return look


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


class LoopWatch:
    """Looks into the values of a loop that is still running; each is read once, however often it is looked at."""

    def __init__(self, path: Path, most: int) -> None:
        self._path, self._most = path, most
        self.count = 0
        """Iterations done so far."""
        self.minimum_ns = 0
        """The shortest of them; 0 before there is one."""

    def look(self) -> None:
        """Read what has come since the last look.

        The file is read, not mapped: whoever writes it might cut it off meanwhile, which ends who has it mapped (SIGBUS).
        """
        while new := self._next():
            self.count += len(new)
            self.minimum_ns = min(new) if self.minimum_ns == 0 else min(self.minimum_ns, *new)
            if len(new) < _VALUES_AT_ONCE:
                return

    def _next(self) -> list[int]:
        try:
            with untrusted.open_file(self._path, inside=self._path.parent) as file:
                file.seek(8 * self.count)
                content = file.read(8 * min(_VALUES_AT_ONCE, self._most - self.count))
        except (OSError, errors.Forbidden):
            return []
        values = memoryview(content[: len(content) // 8 * 8]).cast("q").tolist()
        return list(takewhile(lambda value: value > 0, values))


_VALUES_AT_ONCE = 1 << 14
"""Room for later values is there already, as zeros: of a long loop's, no more than these are read in vain."""
