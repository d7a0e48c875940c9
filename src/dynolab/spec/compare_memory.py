"""The memory of two profiles: each end of each range held against the other side's, by the spread over passes."""

from __future__ import annotations

from dataclasses import dataclass, replace

from dynolab.spec.answers import Answer
from dynolab.spec.duets import Ratio
from dynolab.spec.facts import STAGE_TITLES
from dynolab.spec.measurements import Range, StageName
from dynolab.spec.profiles import MemorySummary, Profile, Stage, Trust
from dynolab.spec.show import show_range

PASSES_FOR_NEAR = 5
"""Memory passes of either side from which on two spreads that do not meet are a change, however near they are: of the same thing, by
chance, that happens once in 126. With fewer, the gap must be wider than either spread."""
UNCHANGED_WITHIN = 0.03
"""Passes of both sides that lie no further apart, as a share, show no change."""
ONE_PASS_SPREAD = 0.05
"""How far a single memory pass may lie off, as a share: it tells no spread of its own."""


@dataclass(frozen=True, slots=True)
class MemoryComparison:
    """The answer for one range of memory: its ends are held against each other one by one, by the spread over the passes."""

    stage: StageName | None
    """None: the whole process, from before the runtime's import."""
    figure: str
    """``peak`` or ``increase``."""
    answer: Answer
    sentence: str
    a: Range
    b: Range
    lower: Ratio | None
    """Of the lower ends; None where that of ``a`` is 0."""
    upper: Ratio | None
    obstacle: str | None = None
    """Why nothing can be told, whatever the figures: a pass was disturbed."""

    @property
    def direction(self) -> int:
        """1: more, -1: less, 0: not called changed."""
        if self.answer is not Answer.CHANGED:
            return 0
        return 1 if self.b.lower + self.b.upper > self.a.lower + self.a.upper else -1


@dataclass(frozen=True, slots=True)
class Passes:
    """One end of a memory figure over the passes of one side: the least and the most, in bytes, and how many passes."""

    least: int
    most: int
    count: int

    @property
    def spread(self) -> float:
        """How far passes of this side may lie apart."""
        return self.most - self.least if self.count > 1 else ONE_PASS_SPREAD * self.most


def end_answer(a: Passes, b: Passes, floor: float, resolution_bytes: int) -> Answer:
    """Whether an end changed by more than the floor, what the reading resolves, and what passes of one side differ by."""
    if any(_is_clear(*pair, floor, resolution_bytes) for pair in ((a, b), (b, a))):
        return Answer.CHANGED
    apart = max(b.most - a.least, a.most - b.least)
    if apart <= max(resolution_bytes, UNCHANGED_WITHIN * min(a.least, b.least)):
        return Answer.UNCHANGED
    return Answer.CANNOT_TELL


def _is_clear(low: Passes, high: Passes, floor: float, resolution_bytes: int) -> bool:
    """Whether all of ``high`` is beyond all of ``low``."""
    gap = high.least - low.most
    if gap <= max(resolution_bytes, floor * low.most):
        return False
    return gap > max(low.spread, high.spread) or min(low.count, high.count) >= PASSES_FOR_NEAR


@dataclass(frozen=True, slots=True)
class _Memory:
    """One range of memory of one side, with both ends over its passes, and why it may not decide."""

    name: str
    shown: Range
    lower: Passes
    upper: Passes
    resolution_bytes: int
    trouble: str | None


def _stage_memory(stage: Stage, figure: str, name: str) -> _Memory | None:
    memory = stage.memory
    if memory is None:
        return None
    lower, upper, shown = (
        (memory.spread.peak_lower, memory.spread.peak_upper, memory.peak)
        if figure == "peak"
        else (memory.spread.increase_lower, memory.spread.increase_upper, memory.increase)
    )
    trouble = _memory_trouble(memory, stage)
    return _Memory(name, shown, _passes(lower, memory), _passes(upper, memory), memory.resolution_bytes, trouble)


def _passes(ends: Range, memory: MemorySummary) -> Passes:
    return Passes(max(0, ends.lower), max(0, ends.upper), len(memory.runs))


def _memory_trouble(memory: MemorySummary, stage: Stage) -> str | None:
    """What forbids an answer: a disturbed pass; in a profile of schema 1, a stage that is invalid."""
    verdict = memory.verdict or stage.verdict
    is_bad = verdict.trust is Trust.INVALID or (memory.verdict is not None and verdict.trust is Trust.NOISY)
    return verdict.first_reason if is_bad else None


def compare_process_total(a: Profile, b: Profile, floor: float, names: tuple[str, str]) -> MemoryComparison | None:
    """The peak of the whole process; None where a side has none."""
    sides = [_total_memory(profile, name) for profile, name in zip((a, b), names, strict=True)]
    before, after = sides
    if before is None or after is None:
        return None
    return _compare_memory(None, "peak", before, after, floor)


def _total_memory(profile: Profile, name: str) -> _Memory | None:
    shown, total = profile.process_total_peak, profile.process_total
    if shown is None:
        return None
    raw = [run.peak_raw for run in total.worse] if total is not None else []
    ends = raw or [shown]
    lower, upper = (
        Passes(max(0, min(values)), max(0, *values), len(values))
        for values in ([one.lower for one in ends], [one.upper for one in ends])
    )
    is_bad = total is not None and total.verdict.trust is not Trust.CLEAN
    trouble = total.verdict.first_reason if total is not None and is_bad else None
    memory = profile.inference.memory
    return _Memory(name, shown, lower, upper, memory.resolution_bytes if memory is not None else 0, trouble)


def _compare_memory(stage: StageName | None, figure: str, a: _Memory, b: _Memory, floor: float) -> MemoryComparison:
    resolution = max(a.resolution_bytes, b.resolution_bytes)
    trouble = [f"{side.name} is disturbed ({side.trouble})" for side in (a, b) if side.trouble]
    answers = {end_answer(a.lower, b.lower, floor, resolution), end_answer(a.upper, b.upper, floor, resolution)}
    answer = Answer.CANNOT_TELL
    if not trouble and (Answer.CHANGED in answers or answers == {Answer.UNCHANGED}):
        answer = Answer.CHANGED if Answer.CHANGED in answers else Answer.UNCHANGED
    title = f"{STAGE_TITLES[stage]} memory {figure}" if stage is not None else "Peak of the process"
    figures = f"{show_range(a.shown)} in {a.name}, {show_range(b.shown)} in {b.name}"
    found = MemoryComparison(
        stage, figure, answer, "", a.shown, b.shown, _memory_ratio(a.lower, b.lower), _memory_ratio(a.upper, b.upper)
    )
    why = " and ".join(trouble) or "passes of the same side differ by as much"
    word = {1: "is larger", -1: "is smaller", 0: "is unchanged"}[found.direction]
    told = f"{title} {word}: {figures}." if answer is not Answer.CANNOT_TELL else f"{title}: {why}: {figures}."
    return replace(found, sentence=told, obstacle=" and ".join(trouble) or None)


def _memory_ratio(a: Passes, b: Passes) -> Ratio | None:
    """Of the middles, from the least to the most that the passes allow; None where ``a`` shows nothing.

    A side of one pass may lie off by :data:`ONE_PASS_SPREAD`.
    """
    if a.least <= 0:
        return None
    middle = (b.least + b.most) / (a.least + a.most)
    slack = 1 + ONE_PASS_SPREAD * (min(a.count, b.count) == 1)
    return Ratio(middle, min(middle, b.least / a.most / slack), max(middle, b.most / a.least * slack))


def compare_memory(
    a: Stage, b: Stage, floor: float, names: tuple[str, str]
) -> tuple[tuple[MemoryComparison, ...], str | None]:
    """The answers for a stage's peak and increase; without them, the reason."""
    if a.memory is None or b.memory is None:
        side, stage = (names[0], a) if a.memory is None else (names[1], b)
        return (), f"{side} has no memory figures ({stage.reason or stage.memory_reason or 'no reason given'})"
    found = []
    for figure in ("peak", "increase"):
        before, after = _stage_memory(a, figure, names[0]), _stage_memory(b, figure, names[1])
        if before is not None and after is not None:
            found.append(_compare_memory(a.name, figure, before, after, floor))
    return tuple(found), None
