"""What a duet tells of memory: each end of each range held against the other side's, by the spread over passes. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dynolab.measure.campaign_messages import Measured
from dynolab.spec import stats
from dynolab.spec.answers import Answer
from dynolab.spec.duets import MemoryDuet, Ratio
from dynolab.spec.measurements import Range, StageName
from dynolab.spec.profiles import MemoryRun, TotalMemory, Trust
from dynolab.spec.show import show_bytes, show_range

PASSES_FOR_NEAR = 5
"""Passes of either side from which on two spreads that do not meet are a change, however near they are: of the same thing, by
chance, that happens once in 126."""
WIDER = 2
"""With fewer, the gap must be so many times as wide as either spread. Looked at after each pass from the third to the sixth, passes
of the same thing that vary by 5 % are then called changed in 0.4 % of 20,000 simulated duets; at 1 it were 1.3 %."""

UNDISTURBED_MIN = 2
"""Passes of either side that nothing disturbed, from which on those that something did are left out."""

Passes = tuple[Sequence[MemoryRun], Sequence[MemoryRun]]
"""Of ``a`` and of ``b``."""


@dataclass(frozen=True, slots=True)
class End:
    """One end of a memory figure over the passes of both sides, in bytes."""

    a: tuple[int, ...]
    b: tuple[int, ...]

    @property
    def ratio(self) -> Ratio | None:
        """Of the medians, from the least to the most that the passes allow; None where ``a`` shows nothing."""
        if min(self.a) <= 0:
            return None
        middle = stats.median(self.b) / stats.median(self.a)
        return Ratio(middle, min(middle, min(self.b) / max(self.a)), max(middle, max(self.b) / min(self.a)))

    def answer(self, floor: float, resolution_bytes: int) -> Answer:
        """Whether it changed by more than the floor and what the reading resolves."""
        more, less = (self._clear(*pair, floor, resolution_bytes) for pair in ((self.a, self.b), (self.b, self.a)))
        if more or less:
            return Answer.CHANGED
        apart = max(max(self.b) - min(self.a), max(self.a) - min(self.b))
        if apart <= max(resolution_bytes, floor * min(*self.a, *self.b)):
            return Answer.UNCHANGED
        return Answer.CANNOT_TELL

    @staticmethod
    def _clear(low: Sequence[int], high: Sequence[int], floor: float, resolution_bytes: int) -> bool:
        """Whether all of ``high`` is beyond all of ``low``."""
        gap = min(high) - max(low)
        if gap <= max(resolution_bytes, floor * max(low)):
            return False
        spread = max(max(one) - min(one) for one in (low, high))
        return gap > WIDER * spread or min(len(low), len(high)) >= PASSES_FOR_NEAR


def figures(a: Measured, b: Measured, floor: float) -> tuple[MemoryDuet, ...]:
    """All memory figures that both sides have: peak and increase of each stage, and the peak of the whole process."""
    resolution = max(a.memory_resolution_bytes, b.memory_resolution_bytes)
    found = []
    for stage in StageName:
        runs = a.memory.get(stage, ()), b.memory.get(stage, ())
        if all(runs):
            found += [_figure(stage, figure, runs, floor, resolution) for figure in ("peak", "increase")]
    if a.total is not None and b.total is not None:
        found.append(_figure(None, "peak", (_worse(a.total), _worse(b.total)), floor, resolution))
    return tuple(found)


def _worse(total: TotalMemory) -> Sequence[MemoryRun]:
    """Of cold and warm the passes that need more."""
    passes = (runs for runs in (total.cold, total.warm) if runs)
    return max(passes, key=lambda runs: stats.median_range([run.peak_raw for run in runs]).upper)


def _undisturbed(runs: Passes) -> tuple[Passes, str | None]:
    """The passes that nothing disturbed; where a side has too few of them, all, and what disturbed the first."""
    clean = [[run for run in side if run.verdict.trust is Trust.CLEAN] for side in runs]
    if min(map(len, clean)) >= UNDISTURBED_MIN:
        return (clean[0], clean[1]), None
    reasons = (reason for side in runs for run in side for reason in run.verdict.reasons)
    return runs, next(reasons, f"fewer than {UNDISTURBED_MIN} passes of a side")


def _figure(stage: StageName | None, figure: str, runs: Passes, floor: float, resolution: int) -> MemoryDuet:
    kept, disturbed = _undisturbed(runs)
    a, b = ([getattr(run, f"{figure}_raw") for run in side] for side in kept)
    lower, upper = (
        End(tuple(max(0, getattr(one, end)) for one in a), tuple(max(0, getattr(one, end)) for one in b))
        for end in ("lower", "upper")
    )
    shown = stats.median_range(a), stats.median_range(b)
    answer = Answer.CANNOT_TELL if disturbed else _both(lower, upper, floor, resolution)
    sentence = f"cannot be told: {disturbed}" if disturbed else _sentence(answer, *shown)
    return MemoryDuet(stage, figure, answer, sentence, *shown, lower.ratio, upper.ratio, tuple(a), tuple(b), disturbed)


def _both(lower: End, upper: End, floor: float, resolution: int) -> Answer:
    """Changed when an end changed, unchanged when neither did."""
    answers = {end.answer(floor, resolution) for end in (lower, upper)}
    if Answer.CHANGED in answers:
        return Answer.CHANGED
    return Answer.UNCHANGED if answers == {Answer.UNCHANGED} else Answer.CANNOT_TELL


def _sentence(answer: Answer, a: Range, b: Range) -> str:
    if answer is Answer.UNCHANGED:
        return f"unchanged at {show_range(b)}"
    if answer is Answer.CANNOT_TELL:
        return f"cannot be told: {show_range(a)} and {show_range(b)}, and passes of the same side differ by as much"
    ends = [_change(size) for size in sorted((b.lower - a.lower, b.upper - a.upper), key=abs)]
    return f"{ends[0]} to {ends[1]}" if ends[0] != ends[1] else ends[0]


def _change(size: int) -> str:
    return f"{show_bytes(abs(size))} {'more' if size >= 0 else 'less'}"
