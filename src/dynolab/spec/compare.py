"""The difference of two profiles: what changed, what did not, and what cannot be told (measuring.md section 6)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from dynolab.errors import SpecInvalid
from dynolab.spec.answers import Answer
from dynolab.spec.compare_layers import LayerComparison, compare_layers
from dynolab.spec.compare_memory import MemoryComparison, compare_memory, compare_process_total
from dynolab.spec.facts import STAGE_TITLES
from dynolab.spec.likeness import differing, unlike
from dynolab.spec.measurements import Range, StageName
from dynolab.spec.profiles import NARROW, Profile, Stage, Trust, Verdict
from dynolab.spec.show import show_share, show_time, show_time_range

LEAST_CHANGE = 0.02
"""A difference below this is none, where no A/A floor is given: as little as a range is narrow at its narrowest."""


@dataclass(frozen=True, slots=True)
class Ratio:
    """A time of ``b`` over that of ``a``; ``lower`` and ``upper``: the least and the most that their ranges allow.

    None where nothing bounds it: medians have no range, and a lower end of 0 leaves the ratio open.
    """

    value: float
    lower: float | None
    upper: float | None
    a_ns: int
    b_ns: int


@dataclass(frozen=True, slots=True)
class StageComparison:
    """One stage: the answer for its time in a word and in a sentence, and the figures behind it."""

    name: StageName
    answer: Answer
    sentence: str
    minimum: Ratio | None
    median: Ratio | None
    """As it was seen on either side: it enters no answer."""
    floor: float
    """The A/A floor that was applied, as a share (0.02 is 2 %)."""
    memory: tuple[MemoryComparison, ...]
    """Peak and increase."""
    memory_reason: str | None
    """Why there is no memory difference, or None."""
    obstacle: str | None = None
    """Why nothing can be told of the time, whatever the figures: a side was not measured, or is invalid."""

    @property
    def cause(self) -> str:
        """Why it cannot be told: ``wide`` (a range), or nothing of that kind."""
        return "wide" if self.answer is Answer.CANNOT_TELL and self.obstacle is None else ""

    @property
    def direction(self) -> int:
        """1: slower, -1: faster, 0: not called changed."""
        if self.answer is not Answer.CHANGED or self.minimum is None:
            return 0
        return 1 if self.minimum.value > 1 else -1


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two profiles compared: ``b`` against ``a``."""

    unlike: tuple[str, ...]
    """What must be the same for a difference to be the model's, and is not: to be told first."""
    stages: tuple[StageComparison, ...]
    process_total: MemoryComparison | None
    """The peak of the whole process; None where a side has none."""
    layers: LayerComparison
    basis: str
    """Where the A/A floor comes from."""
    differences: tuple[str, ...]
    """What else differs between the two (device, runtime, versions, options ...), in words."""

    def stage(self, name: StageName) -> StageComparison:
        """The answer for one stage."""
        return next(one for one in self.stages if one.name is name)


Names = tuple[str, str]
"""What the two sides are called in sentences."""


def compare(
    a: Profile, b: Profile, floor: float | Mapping[str, float] | None, *, names: Names = ("a", "b")
) -> Comparison:
    """What changed from ``a`` to ``b``, stage by stage, by the ranges of their times.

    ``names`` is what sentences call the two. ``floor`` is the device's own A/A floor, the share by which figures of the same
    thing differ there: one for all stages, or one by stage name; :data:`LEAST_CHANGE` where there is none. Raises
    :class:`SpecInvalid` for a floor that is negative, not finite or of an unknown stage. The same profiles always give
    the same answer.
    """
    floors = _floors(floor)
    pairs = zip(a.stages, b.stages, strict=True)
    return Comparison(
        unlike=tuple(one.sentence(names) for one in unlike(a, b)),
        stages=tuple(compare_stage(one, other, floors.get(one.name, LEAST_CHANGE), names) for one, other in pairs),
        process_total=compare_process_total(a, b, floors.get("inference", LEAST_CHANGE), names),
        layers=compare_layers(a.layers, b.layers, names),
        basis=_basis(floors),
        differences=tuple(f"{label}: {one} against {other}" for label, (one, other) in differing([a, b])),
    )


# ---- one stage -------------------------------------------------------------------------------------------------------


def compare_stage(a: Stage, b: Stage, floor: float = LEAST_CHANGE, names: Names = ("a", "b")) -> StageComparison:
    """What changed in one stage from ``a`` to ``b``; the parameters are those of :func:`compare`."""
    before, after = time_range(a), time_range(b)
    sides = tuple(zip(names, (a, b), strict=True))
    minimum, middle = _ratio(before, after), _medians(a, b)
    obstacle = _obstacle(sides)
    answer, sentence = _judge(sides, before, after, floor, obstacle)
    memory, reason = compare_memory(a, b, floor, names)
    return StageComparison(a.name, answer, sentence, minimum, middle, floor, memory, reason, obstacle)


def time_range(stage: Stage) -> Range | None:
    """The range of a stage's time in ns; None when it was not measured.

    A profile of schema 1 has none: it gets what its processes allow, and no lower end where it was noisy.
    """
    if stage.time is None:
        return None
    upper = stage.time.minimum_ns
    if stage.time.lower_ns is not None:
        return Range(stage.time.lower_ns, upper)
    minima = sorted(min(run.values_ns) for run in stage.timing_runs if run.chosen and run.values_ns)
    if stage.verdict.trust is not Trust.CLEAN or len(minima) < 2:
        return Range(0, upper)
    return Range(int(upper / (1 + max(LEAST_CHANGE, 2 * (minima[1] / max(1, minima[0]) - 1)))), upper)


def _ratio(before: Range | None, after: Range | None) -> Ratio | None:
    if before is None or after is None or not before.upper or not after.upper:
        return None
    upper = after.upper / before.lower if before.lower else None
    return Ratio(after.upper / before.upper, after.lower / before.upper, upper, before.upper, after.upper)


def _medians(a: Stage, b: Stage) -> Ratio | None:
    """As they were seen: they enter no answer."""
    if a.time is None or b.time is None or not a.time.median_ns or not b.time.median_ns:
        return None
    return Ratio(b.time.median_ns / a.time.median_ns, None, None, a.time.median_ns, b.time.median_ns)


_Sides = Sequence[tuple[str, Stage]]
"""The name and the stage of either side."""


def _judge(
    sides: _Sides, before: Range | None, after: Range | None, floor: float, obstacle: str | None
) -> tuple[Answer, str]:
    """The answer and its sentence: changed when the ranges lie further apart than the floor."""
    title = STAGE_TITLES[sides[0][1].name]
    if obstacle or before is None or after is None:
        return Answer.CANNOT_TELL, f"{title}: {obstacle}."
    (one, _), (other, _) = sides
    figures = f"{show_ends(before)} in {one}, {show_ends(after)} in {other}; A/A floor {show_share(floor)}"
    if after.lower > before.upper * (1 + floor):
        least = show_share(after.lower / before.upper - 1)
        most = f"by {least} to {show_share(after.upper / before.lower - 1)}" if before.lower else f"by {least} or more"
        return Answer.CHANGED, f"{title} is slower, {most}: {figures}."
    if after.upper * (1 + floor) < before.lower:
        least, most = show_share(1 - after.upper / before.lower), show_share(1 - after.lower / before.upper)
        return Answer.CHANGED, f"{title} is faster, by {least} to {most}: {figures}."
    wide = [f"{side}'s range is wide ({why})" for side, why in _wide(sides, (before, after))]
    if wide:
        return Answer.CANNOT_TELL, f"{title}: {' and '.join(wide)}: {figures}."
    excluded = show_share(max(after.upper / before.lower, before.upper / after.lower) - 1)  # narrow: not down to 0
    return Answer.UNCHANGED, f"{title} is unchanged, a change beyond {excluded} is excluded: {figures}."


def _wide(sides: _Sides, ranges: Sequence[Range]) -> list[tuple[str, str]]:
    """The sides whose range is wide, with the reason."""
    pairs = zip(sides, ranges, strict=True)
    return [(side, _why(stage, ends)) for (side, stage), ends in pairs if ends.upper - ends.lower > NARROW * ends.upper]


def _obstacle(sides: _Sides) -> str | None:
    """Why nothing can be told before any figure is looked at, or None."""
    for side, stage in sides:
        if stage.time is None:
            return f"{side} has no time ({stage.reason or stage.time_reason or 'no reason given'})"
        if stage.time.minimum_ns <= 0:
            return "a time of 0 ns has no ratio"
    invalid = [
        f"{side} is invalid ({verdict.first_reason})"
        for side, stage in sides
        if (verdict := time_verdict(stage)).trust is Trust.INVALID
    ]
    return " and ".join(invalid) or None


def time_verdict(stage: Stage) -> Verdict:
    """The verdict on a stage's time; on the whole stage in a profile of schema 1."""
    return stage.time.verdict if stage.time is not None and stage.time.verdict is not None else stage.verdict


def _why(stage: Stage, ends: Range) -> str:
    """Why a range is wide; of a profile of schema 1, which says nothing of ranges, by its processes."""
    verdict = time_verdict(stage)
    if verdict.reasons or ends.lower:
        return verdict.first_reason
    return "one process alone does not tell how far processes differ"


def show_ends(ends: Range) -> str:
    """A range of time; where it has no lower end, what it is at most."""
    return show_time_range(ends.lower, ends.upper) if ends.lower else f"≤ {show_time(ends.upper)}"


# ---- floors ----------------------------------------------------------------------------------------------------------


def _floors(floor: float | Mapping[str, float] | None) -> dict[str, float]:
    if floor is None:
        return {}
    floors = dict(floor) if isinstance(floor, Mapping) else {name.value: floor for name in StageName}
    if not isinstance(floor, Mapping) and (not isfinite(floor) or floor < 0):
        raise SpecInvalid(f"an A/A floor of {floor:g}: a share from 0 on is needed", hint="0.02 is 2 %")
    for name, given in floors.items():
        if name not in set(StageName) or not isfinite(given) or given < 0:
            hint = f"a floor is a share, 0 or more, of one of: {', '.join(StageName)}"
            raise SpecInvalid(f"{given} is no A/A floor of {name}", hint=hint)
    return floors


def _basis(floors: Mapping[str, float]) -> str:
    if all(name in floors for name in StageName):
        return "The A/A floor was given: what the device shows between repeated profiles of the same thing."
    without = ", ".join(STAGE_TITLES[name].lower() for name in StageName if name not in floors)
    lead = f"No A/A floor was given for {without}" if floors else "No A/A floor was given"
    return f"{lead}: differences below {show_share(LEAST_CHANGE)} count as none."
