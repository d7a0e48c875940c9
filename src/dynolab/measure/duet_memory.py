"""The memory passes of a duet: those of a profile, alternating between the sides, until they tell or the budget is spent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager

from dynolab import errors
from dynolab.measure import duet_memory_ratio, plan, verdict
from dynolab.measure.campaign import Runner
from dynolab.measure.memory_passes import memory_run
from dynolab.measure.orders import Files
from dynolab.measure.protocol import Measure, RunKind
from dynolab.spec import stats
from dynolab.spec.answers import Answer
from dynolab.spec.measurements import Range, StageName
from dynolab.spec.profiles import MemoryRun, TotalMemory

REPEATS_MIN, REPEATS_MOST = 3, 6
"""Of every pass and side; more than the fewest while a figure cannot be told and there is time."""


def reserve_ns(pair_ns: int, stages: Sequence[StageName]) -> int:
    """Time to keep for the passes, when two processes take so long: of each side two, or four with those of a cold load."""
    return REPEATS_MIN * max(0, pair_ns) * (4 if StageName.FIRST_LOAD in stages else 2)


class DuetMemory:
    """All memory passes of one duet: of compilations and cold loads, where these stages were asked for.

    ``named`` gives a side's runner, and has errors name the side.
    """

    def __init__(
        self,
        sides: Mapping[str, Runner],
        named: Callable[[str], AbstractContextManager[Runner]],
        stages: Sequence[StageName],
    ) -> None:
        self._sides, self._named, self._stages = sides, named, stages
        self._totals: dict[tuple[str, str], list[MemoryRun]] = {}

    def carry_out(self, floor: float, is_late: Callable[[], bool]) -> None:
        """Nothing where memory cannot be measured."""
        if any(runner.measured.memory_reason is not None for runner in self._sides.values()):
            return
        for index in range(REPEATS_MOST):
            if index >= REPEATS_MIN and (is_late() or self._is_told(floor)):
                return
            for side in tuple(self._sides) if index % 2 == 0 else tuple(self._sides)[::-1]:
                with self._named(side) as runner:
                    self._repeat(side, runner, index)

    def _is_told(self, floor: float) -> bool:
        a, b = (runner.measured for runner in self._sides.values())
        return all(one.answer is not Answer.CANNOT_TELL for one in duet_memory_ratio.figures(a, b, floor))

    def _repeat(self, side: str, runner: Runner, index: int) -> None:
        """One pass of every kind of one side."""
        runner.tell(event="stage", stage="total", text=f"memory of {side.upper()}", process=index + 1, attempt=1)
        if StageName.COMPILE in self._stages and runner.inspection.compiles:
            self._compile(side, runner, index)
        if StageName.FIRST_LOAD in self._stages:
            self._pass(runner, RunKind.FIRST_LOAD, Files.COLD, index)
            self._total(runner, (side, "cold"), Files.COLD, index)
        self._pass(runner, RunKind.INFERENCE, Files.WARM, index)
        self._total(runner, (side, "warm"), Files.AS_THEY_ARE, index)
        cold, warm = (self._totals.get((side, how), []) for how in ("cold", "warm"))
        runner.note(total=total_of(cold, warm))

    def _compile(self, side: str, runner: Runner, index: int) -> None:
        """Into an empty folder; the artifact that was timed is put back afterwards."""
        runner.device.set_aside(side)
        self._pass(runner, RunKind.COMPILE, Files.AS_THEY_ARE, index)
        runner.device.put_back(side)

    def _pass(self, runner: Runner, kind: RunKind, files: Files, index: int) -> None:
        outcome = runner.spawn(runner.request(kind, Measure.MEMORY, iterations=plan.MEMORY_ITERATIONS), files)
        found = dict(runner.measured.memory)
        for stage, seen in outcome.result.stages.items():
            found[stage] = (*found.get(stage, ()), memory_run(seen, outcome.samples, index))
        runner.note(memory=found)

    def _total(self, runner: Runner, key: tuple[str, str], files: Files, index: int) -> None:
        request = runner.request(RunKind.TOTAL, Measure.MEMORY, iterations=plan.MEMORY_ITERATIONS)
        outcome = runner.spawn(request, files)
        if outcome.result.total is None:
            raise errors.Bug("a run of the whole way left nothing")
        run = memory_run(outcome.result.total, outcome.samples, index, with_libraries=True)
        self._totals.setdefault(key, []).append(run)


def total_of(cold: list[MemoryRun], warm: list[MemoryRun]) -> TotalMemory:
    """The whole way, cold and warm: the worse of the two counts."""
    peaks = [stats.median_range([run.peak_raw for run in runs]) for runs in (cold, warm) if runs]
    peak = Range(max(one.lower for one in peaks), max(one.upper for one in peaks))
    judged = verdict.combine([run.verdict for run in (*cold, *warm)])
    return TotalMemory(peak, tuple(cold), tuple(warm), judged)
