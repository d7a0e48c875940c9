"""The memory passes of a campaign, in processes of their own, and the whole app's peak."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dynolab import errors
from dynolab.measure import memory, plan, process, verdict
from dynolab.measure.campaign import Runner, emit
from dynolab.measure.protocol import Measure, RunKind, StagePass
from dynolab.spec import untrusted
from dynolab.spec.measurements import MemoryEdge, Range, StageName
from dynolab.spec.profiles import MemoryRun


class MemoryPasses:
    """All memory passes of one campaign."""

    def __init__(self, runner: Runner) -> None:
        self.runner = runner

    def carry_out(self) -> None:
        """Each repeat of each stage in a fresh process; nothing where memory cannot be measured."""
        runner, chosen = self.runner, self.runner.measured.plan
        if runner.measured.memory_reason is not None or chosen is None:
            return
        count = chosen.memory_runs
        if count[StageName.COMPILE]:
            self._compile(count[StageName.COMPILE])
        for index in range(count[StageName.FIRST_LOAD]):
            self._process(RunKind.FIRST_LOAD, index, runner.make_cold)
        for index in range(count[StageName.INFERENCE]):
            self._process(RunKind.INFERENCE, index, runner.make_warm, iterations=plan.MEMORY_ITERATIONS)
        self._total()

    def _compile(self, count: int) -> None:
        """Compilations into an empty folder; the artifact that was timed is put back afterwards."""
        folder, kept = self.runner.artifact_dir, self.runner.folder / "artifact.kept"
        folder.rename(kept)
        folder.mkdir()
        for index in range(count):
            self._process(RunKind.COMPILE, index, self.runner.wipe)
        untrusted.remove(folder)
        kept.rename(folder)

    def _process(self, kind: RunKind, index: int, prepare: Callable[[], None], **changes: Any) -> None:
        prepare()
        emit(event="stage", stage=kind, text="memory", process=index + 1, attempt=1)
        outcome = self.runner.spawn(self.runner.request(kind, Measure.MEMORY, **changes))
        if kind is RunKind.INFERENCE and index == 0:
            self.runner.note(import_memory=_import_increase(outcome))
        found = dict(self.runner.measured.memory)
        for stage, seen in outcome.result.stages.items():
            found[stage] = (*found.get(stage, ()), memory_run(seen, outcome.samples, index))
        self.runner.note(memory=found)

    def _total(self) -> None:
        """The one plain figure: the peak of a whole app's way through, in one process."""
        emit(event="stage", stage="total", text="memory")
        self.runner.make_warm()
        outcome = self.runner.spawn(
            self.runner.request(RunKind.TOTAL, Measure.MEMORY, iterations=plan.MEMORY_ITERATIONS)
        )
        start, end = outcome.result.total_edges
        peak, _ = memory.ranges(start, end, end, memory.within(outcome.samples, start, end))
        self.runner.note(total_peak=_shown(peak))


def _shown(raw: Range) -> Range:
    return Range(max(0, raw.lower), max(0, raw.upper))


def _import_increase(outcome: process.Outcome) -> Range:
    before, after, released = outcome.result.import_edges
    inside = memory.within(outcome.samples, before, after)
    return _shown(memory.ranges(before, after, released, inside)[1])


def memory_run(seen: StagePass, samples: Sequence[MemoryEdge], index: int) -> MemoryRun:
    """The raw ends of one memory pass, from the worker's edges and the supervisor's samples joined by time."""
    start, end, released = seen.edges
    if seen.witnesses is None:
        raise errors.Bug("a memory run left no witnesses")
    inside = memory.within(samples, start, end)
    peak, increase = memory.ranges(start, end, released, inside)
    return MemoryRun(
        process=index + 1,
        start=start,
        end=end,
        released=released,
        samples=len(inside),
        largest_file_bytes=memory.largest_file_bytes([start, end, released, *inside]),
        peak_raw=peak,
        increase_raw=increase,
        io_bytes=seen.io_bytes,
        witnesses=seen.witnesses,
        verdict=verdict.judge_memory(seen.witnesses),
    )
