"""The timing passes of a campaign: compile, cold and warm loads in pairs, the loop's processes; noisy ones again."""

from __future__ import annotations

import mmap
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from dynolab import errors
from dynolab.measure import pagecache, plan, verdict
from dynolab.measure.campaign import Runner, emit
from dynolab.measure.protocol import VALUES_FILE, Measure, RunKind, RunRequest, RunResult
from dynolab.spec.profiles import ColdProof, TimingRun, Trust


class TimingPasses:
    """All timing passes of one campaign."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner
        self._spent_ns = 0
        self._noisy_in_a_row = 0

    def carry_out(self) -> None:
        """In the order of the stages; a cold load is followed by the warm one that uses what it left."""
        runner = self.runner
        if runner.inspection.compiles:
            try:
                self._compile()
            except errors.PluginMissing as error:
                runner.note(inspection=replace(runner.inspection, compiles=False))
                runner.note(compile_reason=error.message + (f" ({error.hint})" if error.hint else ""))
        for index in range(runner.campaign.repeats):
            self._process(RunKind.FIRST_LOAD, index, runner.make_cold)
            self._process(RunKind.WARM_LOAD, index, runner.make_warm)
        self._inference()

    def _compile(self) -> None:
        self._process(RunKind.COMPILE, 0, self.runner.wipe)
        first = self.runner.measured.timing[RunKind.COMPILE][0].values_ns[0]
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
        """One process of a timing pass, tried again while its witnesses call it noisy; all tries are kept."""
        tries: list[TimingRun] = []
        for attempt in range(1, plan.MAX_TRIES + 1):
            prepare()
            emit(event="stage", stage=kind, text="time", process=index + 1, attempt=attempt)
            request = self.runner.request(kind, Measure.TIME, **changes)
            result = self.runner.spawn(request, self._progress(request)).result
            tries.append(self._judged(kind, result, index, attempt))
            self._note(kind, result)
            if not self._another(kind, tries):
                break
        best = verdict.best_try([run.verdict for run in tries])
        chosen = tuple(replace(run, chosen=number == best) for number, run in enumerate(tries))
        timing = self.runner.measured.timing
        self.runner.note(timing={**timing, kind: (*timing.get(kind, ()), *chosen)})

    def _judged(self, kind: RunKind, result: RunResult, index: int, attempt: int) -> TimingRun:
        if result.witnesses is None:
            raise errors.Bug("a timing run left no witnesses")
        warm = kind in (RunKind.WARM_LOAD, RunKind.INFERENCE)
        return TimingRun(
            process=index + 1,
            attempt=attempt,
            chosen=False,
            values_ns=result.values_ns,
            warmup_ns=result.warmup_ns,
            first_ns=result.first_ns,
            witnesses=result.witnesses,
            verdict=verdict.judge_timing(result.witnesses, best=self.runner.measured.best, warm=warm),
        )

    def _another(self, kind: RunKind, tries: Sequence[TimingRun]) -> bool:
        """Whether to try again: the last was noisy, a calmer moment is likely, and the budget allows it.

        Retries of the loop count against its time budget; a long compilation is never repeated.
        """
        last = tries[-1]
        used_ns = sum(last.values_ns) + sum(last.warmup_ns)
        if kind is RunKind.INFERENCE:
            self._spent_ns += used_ns
        if last.verdict.trust is Trust.CLEAN:
            self._noisy_in_a_row = 0
            return False
        calm = sum(run.chosen and run.verdict.trust is Trust.CLEAN for run in self.runner.measured.timing.get(kind, ()))
        if calm >= (plan.CALM_PROCESSES if kind is RunKind.INFERENCE else 1):
            return False  # the stage's minimum has its calm processes already
        self._noisy_in_a_row += 1
        if self._noisy_in_a_row >= plan.HOPELESS_TRIES:
            return False
        if kind is RunKind.INFERENCE:
            return self._spent_ns + used_ns < int(self.runner.options.max_profiler_time_s * 1e9)
        return used_ns < plan.SHORT_COMPILE_NS

    def _note(self, kind: RunKind, result: RunResult) -> None:
        """What a run shows besides its time: files that it left, accelerator memory, cold or not."""
        measured = self.runner.measured
        self.runner.note(files={**measured.files, kind: result.files or measured.files.get(kind, ())})
        if result.accelerator:
            self.runner.note(accelerator={**measured.accelerator, kind: result.accelerator})
        if kind is RunKind.FIRST_LOAD:
            proof = cold_proof(result, pagecache.file_system(Path(self.runner.campaign.model)))
            self.runner.note(cold=(*measured.cold, proof))

    def _progress(self, request: RunRequest) -> Callable[[], None] | None:
        if request.kind is not RunKind.INFERENCE:
            return None
        path = self.runner.next_folder() / VALUES_FILE

        def look() -> None:
            count, minimum = look_into(path)
            if count:
                emit(event="iteration", count=count, of=request.iterations, minimum_ns=minimum)

        return look


def cold_proof(result: RunResult, file_system: str | None) -> ColdProof:
    """What one first load shows of its coldness: residency just before it, blocks read and major faults in it."""
    found, grown = result.residency, result.witnesses.grown if result.witnesses else {}
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


def look_into(path: Path) -> tuple[int, int]:
    """Iterations done and the smallest so far, from a loop that is still running; (0, 0) before it began."""
    try:
        with (
            path.open("rb") as file,
            mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view,
            memoryview(view) as plain,
            plain.cast("q") as values,
        ):
            done = [value for value in values.tolist() if value]
    except (OSError, ValueError):
        return 0, 0
    return len(done), min(done, default=0)
