"""The decision of a gate: whether a model costs no more than a baseline, plus what is allowed. Pure.

A figure's ratio to the baseline's lies between two ends. Within: the upper end is within the limit. Beyond: the lower end is
beyond it. Cannot tell: anything else, and whatever is missing: a number that is not there never passes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from dynolab.errors import SpecInvalid
from dynolab.spec.compare import Comparison, StageComparison, compare, show_ends, time_range
from dynolab.spec.duets import Duet
from dynolab.spec.facts import STAGE_TITLES
from dynolab.spec.likeness import Unlike, unlike
from dynolab.spec.measurements import Range, StageName
from dynolab.spec.profiles import Profile
from dynolab.spec.show import show_range, show_share, show_time

PROCESS_PEAK = "Peak of the process"


class Outcome(StrEnum):
    """What a gate says of a figure, and of all."""

    WITHIN = "within"
    BEYOND = "beyond"
    CANNOT_TELL = "cannot tell"


EXIT_CODES = {Outcome.WITHIN: 0, Outcome.BEYOND: 1, Outcome.CANNOT_TELL: 3}


@dataclass(frozen=True, slots=True)
class Limits:
    """What is allowed: shares by which times and memory may be larger (0.1 is 10 %); None: it is not held to any."""

    slower: float | None = None
    memory: float | None = None
    stages: tuple[StageName, ...] = (StageName.INFERENCE,)
    """Whose times."""

    def __post_init__(self) -> None:
        if self.slower is None and self.memory is None:
            raise SpecInvalid(
                "a gate without a limit lets everything pass",
                hint="give --max-slower 10% for times, --max-memory 10% for memory, or both",
            )


@dataclass(frozen=True, slots=True)
class Check:
    """One figure held to its limit; ratios are of the model's over the baseline's."""

    figure: str
    outcome: Outcome
    sentence: str
    limit: float
    baseline: str
    """The baseline's figure as it is shown; empty where there is none."""
    model: str
    value: float | None
    lower: float | None
    upper: float | None

    @property
    def change(self) -> str:
        """Such as ``+3.2 % (+1.1 to +5.0 %)``; empty where there is no ratio."""
        if self.value is None:
            return ""
        told = f"{_signed(self.value)} %"
        if self.lower is None:
            return told
        most = "any" if self.upper is None else f"{_signed(self.upper)} %"
        return f"{told} ({_signed(self.lower)} to {most})"

    @property
    def allowed(self) -> str:
        """The limit as it is shown: ``+10 %``."""
        return f"+{100 * self.limit:g} %"


@dataclass(frozen=True, slots=True)
class Gate:
    """All checks of one model against its baseline."""

    model: str
    baseline: str
    how: str
    """How they were compared: ``they took turns, 12 pairs of fresh processes, 31 s``."""
    checks: tuple[Check, ...]
    unlike: tuple[str, ...] = ()
    """What is not like for like, and was compared nevertheless."""
    wall_s: float = 0.0

    @property
    def outcome(self) -> Outcome:
        """Beyond where a figure is, else cannot tell where one cannot be told."""
        found = {check.outcome for check in self.checks}
        for outcome in (Outcome.BEYOND, Outcome.CANNOT_TELL):
            if outcome in found:
                return outcome
        return Outcome.WITHIN if found else Outcome.CANNOT_TELL


@dataclass(frozen=True, slots=True)
class Interval:
    """A ratio with the ends that it lies between; ``upper`` None: nothing bounds it."""

    value: float
    lower: float
    upper: float | None


def check(
    figure: str, limit: float, found: Interval | None, *, shown: tuple[str, str] = ("", ""), obstacle: str | None = None
) -> Check:
    """One figure held to its limit; ``shown`` are the baseline's and the model's. Without an interval, the obstacle is why."""
    if found is None or obstacle:
        why = obstacle or "it was not measured on both sides"
        value, lower, upper = (None, None, None) if found is None else (found.value, found.lower, found.upper)
        return Check(figure, Outcome.CANNOT_TELL, f"{figure}: {why}.", limit, *shown, value, lower, upper)
    seen = f", {shown[1]} beside {shown[0]}" if all(shown) else ""
    allowed = f"{seen}; allowed: {show_share(limit)} more"
    if found.upper is not None and found.upper <= 1 + limit:
        outcome, told = Outcome.WITHIN, f"{figure} is at most {_more(found.upper)}{allowed}."
    elif found.lower > 1 + limit:
        outcome, told = Outcome.BEYOND, f"{figure} is at least {_more(found.lower)}{allowed}."
    else:
        most = "any amount more" if found.upper is None else _more(found.upper)
        outcome = Outcome.CANNOT_TELL
        told = f"{figure} is between {_more(found.lower)} and {most}{allowed}."
    return Check(figure, outcome, told, limit, *shown, found.value, found.lower, found.upper)


def _more(ratio: float) -> str:
    """A ratio in words: ``12.3 % more``."""
    return f"{show_share(abs(ratio - 1))} {'more' if ratio >= 1 else 'less'}"


def _signed(ratio: float) -> str:
    return f"{100 * (ratio - 1):+.1f}"


# ---- two profiles ----------------------------------------------------------------------------------------------------


def hold(baseline: Profile, measured: Profile, limits: Limits, *, names: tuple[str, str], force: bool = False) -> Gate:
    """The gate of a profile against its baseline; ``names`` are the baseline's and the model's.

    Raises :class:`SpecInvalid` for a baseline that is not like for like, unless ``force`` is given.
    """
    found = unlike(baseline, measured)
    if found and not force:
        raise refused(names[0], found)
    compared = compare(baseline, measured, None, names=names)
    ranges = [(time_range(one), time_range(other)) for one, other in zip(baseline.stages, measured.stages, strict=True)]
    how = (
        "Two profiles, by the ranges of their times and the spread of their memory: "
        f"{baseline.created_at} and {measured.created_at}."
    )
    checks = tuple(of_profiles(compared, ranges, limits))
    return Gate(names[1], names[0], how, checks, tuple(one.sentence(names) for one in found))


def check_measured(profile: Profile, name: str, limits: Limits) -> None:
    """Raise :class:`SpecInvalid` for a figure that is held to a limit, and that this profile never measured."""
    by_name = {stage.name: stage for stage in profile.stages}
    for stage in limits.stages if limits.slower is not None else ():
        if by_name[stage].time is None:
            why = by_name[stage].reason or by_name[stage].time_reason or "no reason given"
            measured = [one.name.value for one in profile.stages if one.time is not None]
            raise SpecInvalid(
                f"{name} has no time of the stage {stage}: {why}",
                hint=f"it measured {', '.join(measured) or 'none'}: choose one of them, or profile it again",
            )
    if limits.memory is not None and profile.process_total_peak is None:
        why = profile.process_total_reason or "no reason given"
        raise SpecInvalid(f"{name} has no peak of the process: {why}", hint="profile it again, or hold no memory")


def refused(name: str, found: Sequence[Unlike]) -> SpecInvalid:
    """The refusal of a baseline that is not like for like."""
    return SpecInvalid(
        "; ".join(one.refusal(name) for one in found),
        hint="give the baseline's model file instead, and both take turns here; --force compares them anyway, and says so",
    )


def of_profiles(found: Comparison, ranges: Sequence[tuple[Range | None, Range | None]], limits: Limits) -> list[Check]:
    """The checks of two profiles; ``ranges`` are the times of the four stages, the baseline's first."""
    checks = []
    for stage, ends in zip(found.stages, ranges, strict=True):
        if limits.slower is not None and stage.name in limits.stages:
            before, after = (show_ends(one) if one is not None else "" for one in ends)
            interval = _of_stage(stage)
            checks.append(
                check(
                    f"{STAGE_TITLES[stage.name]} time",
                    limits.slower,
                    interval,
                    shown=(before, after),
                    obstacle=stage.obstacle,
                )
            )
    if limits.memory is not None:
        total = found.process_total
        if total is None or total.upper is None:
            checks.append(check(PROCESS_PEAK, limits.memory, None))
        else:
            ratio = Interval(total.upper.value, total.upper.lower, total.upper.upper)
            shown = show_range(total.a), show_range(total.b)
            checks.append(check(PROCESS_PEAK, limits.memory, ratio, shown=shown, obstacle=total.obstacle))
    return checks


def _of_stage(stage: StageComparison) -> Interval | None:
    ratio = stage.minimum
    if ratio is None or ratio.lower is None:
        return None
    return Interval(ratio.value, ratio.lower, ratio.upper)


# ---- a duet ----------------------------------------------------------------------------------------------------------


def of_duet(found: Duet, limits: Limits) -> list[Check]:
    """The checks of a duet, whose side ``a`` is the baseline."""
    checks = []
    for name in limits.stages if limits.slower is not None else ():
        stage = found.stage(name)
        shown = tuple("" if ns is None else show_time(ns) for ns in (stage.a_median_ns, stage.b_median_ns))
        ratio = None if stage.ratio is None else Interval(stage.ratio.value, stage.ratio.lower, stage.ratio.upper)
        title = f"{STAGE_TITLES[name]} time"
        checks.append(check(title, limits.slower or 0.0, ratio, shown=(shown[0], shown[1]), obstacle=stage.reason))
    if limits.memory is not None:
        checks.append(_memory_of_duet(found, limits.memory))
    return checks


def _memory_of_duet(found: Duet, limit: float) -> Check:
    total = next((one for one in found.memory if one.stage is None), None)
    if total is None or total.upper is None:
        return check(PROCESS_PEAK, limit, None, obstacle=found.memory_reason)
    ratio = Interval(total.upper.value, total.upper.lower, total.upper.upper)
    shown = show_range(total.a), show_range(total.b)
    return check(PROCESS_PEAK, limit, ratio, shown=shown, obstacle=total.reason)
