"""The memory passes of a campaign, in processes of their own, and the whole app's peak."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dynolab import errors
from dynolab.measure import memory, plan, verdict
from dynolab.measure.campaign import Runner
from dynolab.measure.orders import Files, Ran
from dynolab.measure.protocol import Measure, RunKind, StagePass
from dynolab.spec import stats
from dynolab.spec.measurements import MemoryEdge, Range, StageName
from dynolab.spec.profiles import MemoryRun, TotalMemory


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
            self._process(RunKind.FIRST_LOAD, index, Files.COLD)
        for index in range(count[StageName.INFERENCE]):
            growth = 0 if index else chosen.growth_iterations
            self._process(RunKind.INFERENCE, index, Files.WARM, iterations=plan.MEMORY_ITERATIONS,
                          growth_iterations=growth)  # fmt: skip
        self._total(count[StageName.FIRST_LOAD])

    def _compile(self, count: int) -> None:
        """Compilations into an empty folder; the artifact that was timed is put back afterwards."""
        device, place = self.runner.device, self.runner.campaign.place
        device.set_aside(place)
        for index in range(count):
            self._process(RunKind.COMPILE, index, Files.EMPTY)
        device.put_back(place)

    def _process(self, kind: RunKind, index: int, files: Files, **changes: Any) -> None:
        outcome = self._spawn(kind, index, files, **changes)
        self.runner.note(import_memory=(*self.runner.measured.import_memory, _import_increase(outcome)))
        found = dict(self.runner.measured.memory)
        for stage, seen in outcome.result.stages.items():
            found[stage] = (*found.get(stage, ()), memory_run(seen, outcome.samples, index))
        self.runner.note(memory=found)
        inference = outcome.result.stages.get(StageName.INFERENCE)
        if inference is not None and inference.held_bytes:
            self.runner.note(held_bytes=inference.held_bytes)

    def _spawn(self, kind: RunKind, index: int, files: Files, **changes: Any) -> Ran:
        self.runner.tell(event="stage", stage=kind, text="memory", process=index + 1, attempt=1)
        return self.runner.spawn(self.runner.request(kind, Measure.MEMORY, **changes), files)

    def _total(self, repeats: int) -> None:
        """The whole app's way, cold and warm: the worse of the two may get it killed."""
        cold, warm = ([self._whole_way(index, files) for index in range(repeats)] for files in (Files.COLD, Files.WARM))
        peaks = [stats.median_range([run.peak_raw for run in runs]) for runs in (cold, warm)]
        peak = Range(max(one.lower for one in peaks), max(one.upper for one in peaks))
        judged = verdict.combine([run.verdict for run in (*cold, *warm)])
        self.runner.note(total=TotalMemory(peak, tuple(cold), tuple(warm), judged))

    def _whole_way(self, index: int, files: Files) -> MemoryRun:
        outcome = self._spawn(RunKind.TOTAL, index, files, iterations=plan.MEMORY_ITERATIONS)
        if outcome.result.total is None:
            raise errors.Bug("a run of the whole way left nothing")
        return memory_run(outcome.result.total, outcome.samples, index, with_libraries=True)


def _import_increase(outcome: Ran) -> Range:
    before, after, released = outcome.result.import_edges
    inside = memory.within(outcome.samples, before, after)
    return memory.ranges(before, after, released, inside, with_libraries=True)[1]


def memory_run(
    seen: StagePass, samples: Sequence[MemoryEdge], index: int, *, with_libraries: bool = False
) -> MemoryRun:
    """The raw ends of one memory pass, from the worker's edges and the executor's samples joined by time."""
    start, end, released = seen.edges
    if seen.witnesses is None:
        raise errors.Bug("a memory run left no witnesses")
    inside = memory.within(samples, start, end)
    peak, increase = memory.ranges(start, end, released, inside, with_libraries=with_libraries)
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
