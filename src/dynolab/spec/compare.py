"""The difference of two profiles: what changed, what did not, and what cannot be told (measuring.md section 6)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from itertools import chain, combinations
from math import expm1, isfinite, log
from random import Random

from dynolab.errors import SpecInvalid
from dynolab.spec.facts import STAGE_TITLES
from dynolab.spec.layer_names import lasting_name
from dynolab.spec.measurements import Layer, StageName
from dynolab.spec.profiles import LayerTable, Profile, Stage, Trust
from dynolab.spec.show import show_share
from dynolab.spec.stats import DEFAULT_SEED, RESAMPLES, bootstrap_medians, median, percentile_interval

CONFIDENCE = 0.95
PROCESSES_MIN = 3
"""Two processes a side differ by chance too often. In 150 simulated pairs of the same thing (one load per process, three
sorts of noise, no floor given) 7 to 11 % were called changed with two processes, at most 2 % with three, none with five."""
HIDDEN_CHANGE = 0.10
"""The largest change (of the logarithm, about 10 %) that may still hide inside an interval that is called unchanged."""

STEPS_FOR_RATIO = 10
"""Steps of a layer's clock that a time must have for a ratio: below it the step alone changes a ratio by a tenth and more."""
LAYER_NOTE = "Layers are compared by name and by their medians, without a verdict."
LAYERS_DISTURBED = "A layer pass was disturbed (its layers add up to far more than an inference takes): no layer is held against another."

_LOOKS_CHANGED = "looks changed, but"
_COULD_HIDE = "could hide in the interval"

Processes = Sequence[Sequence[int]]


class Answer(StrEnum):
    """Whether a stage's time changed."""

    CHANGED = "changed"
    UNCHANGED = "unchanged"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Ratio:
    """A figure of ``b`` over that of ``a``, with its 95 % interval (None with fewer than three processes on a side)."""

    value: float
    lower: float | None
    upper: float | None
    a_ns: int
    b_ns: int


@dataclass(frozen=True, slots=True)
class MemoryDelta:
    """What ``b`` uses more than ``a`` (negative: less), for both ends of both ranges, in bytes. It has no verdict."""

    peak_lower_bytes: int
    peak_upper_bytes: int
    increase_lower_bytes: int
    increase_upper_bytes: int


@dataclass(frozen=True, slots=True)
class StageComparison:
    """One stage: the answer for its time in a word and in a sentence, and the figures behind it."""

    name: StageName
    answer: Answer
    sentence: str
    minimum: Ratio | None
    median: Ratio | None
    floor: float | None
    """The A/A floor that was applied, as a logarithm of a ratio (0.02 is about 2 %); None: there was none."""
    memory: MemoryDelta | None
    memory_reason: str | None
    """Why there is no memory difference, or None."""

    @property
    def cause(self) -> str:
        """Why it cannot be told: ``noisy`` (a verdict forbids it), ``wide`` (the interval), or nothing of these."""
        if self.answer is not Answer.CANNOT_TELL:
            return ""
        return "noisy" if _LOOKS_CHANGED in self.sentence else "wide" if _COULD_HIDE in self.sentence else ""

    @property
    def direction(self) -> int:
        """1: slower, -1: faster, 0: not called changed."""
        if self.answer is not Answer.CHANGED or self.minimum is None:
            return 0
        return 1 if self.minimum.value > 1 else -1


@dataclass(frozen=True, slots=True)
class LayerRatio:
    """One layer that both profiles have; ``ratio`` is b over a, None where it would tell nothing (:func:`layer_ratio`)."""

    name: str
    a_ns: int
    b_ns: int
    ratio: float | None


@dataclass(frozen=True, slots=True)
class LayerComparison:
    """The layers of both profiles by name; a name that occurs several times is matched in order."""

    layers: tuple[LayerRatio, ...]
    only_a: tuple[str, ...]
    only_b: tuple[str, ...]
    note: str
    is_disturbed: bool = False
    """Whether the layer pass of either side was: the layers then blame nobody, and there are no ratios."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two profiles compared: ``b`` against ``a``."""

    stages: tuple[StageComparison, ...]
    layers: LayerComparison
    basis: str
    """Where the A/A floor comes from."""
    differences: tuple[str, ...]
    """What else differs between the two (device, runtime, versions, options ...), in words."""


Names = tuple[str, str]
"""What the two sides are called in sentences."""


def compare(
    a: Profile, b: Profile, floor: float | Mapping[str, float] | None, *, names: Names = ("a", "b")
) -> Comparison:
    """What changed from ``a`` to ``b``, stage by stage; times of the chosen tries only.

    ``names`` is what sentences call the two. ``floor`` is the device's own A/A floor, the size that differences of the same thing reach there, as the absolute
    logarithm of a ratio: one for all stages, or one per stage as :func:`aa_floor` gives it. Where there is none, a
    stage's floor is the largest difference between processes of the same profile. Raises :class:`SpecInvalid` for a
    floor that is negative, not finite or of an unknown stage. The same profiles always give the same answer.
    """
    floors = _floors(floor)
    pairs = zip(a.stages, b.stages, strict=True)
    return Comparison(
        stages=tuple(compare_stage(before, after, floors.get(before.name), names) for before, after in pairs),
        layers=compare_layers(a.layers, b.layers, names),
        basis=_basis(floors),
        differences=tuple(_differences(a, b)),
    )


def _floors(floor: float | Mapping[str, float] | None) -> dict[str, float]:
    if floor is None:
        return {}
    floors = dict(floor) if isinstance(floor, Mapping) else {name.value: floor for name in StageName}
    if not isinstance(floor, Mapping) and (not isfinite(floor) or floor < 0):
        raise SpecInvalid(f"an A/A floor of {floor:g}: a number from 0 on is needed", hint="0.02 is about 2 %")
    for name, given in floors.items():
        if name not in set(StageName) or not isfinite(given) or given < 0:
            hint = f"a floor is the logarithm of a ratio, 0 or more, of one of: {', '.join(StageName)}"
            raise SpecInvalid(f"{given} is no A/A floor of {name}", hint=hint)
    return floors


def aa_floor(profiles: Sequence[Profile]) -> dict[str, float]:
    """The A/A floor per stage name, from repeated profiles of the same thing on the same device.

    It is the largest absolute logarithm of the ratio of any two profiles' minima or medians. Stages that fewer than two
    of them measured are left out. Raises :class:`SpecInvalid` for fewer than two profiles, or for profiles of different
    models, runtimes or devices.
    """
    if len(profiles) < 2:
        raise SpecInvalid(f"an A/A floor needs two profiles or more, {len(profiles)} given", hint="repeat the profile")
    things = {(profile.model.sha256, profile.runtime.name, profile.device.name) for profile in profiles}
    if len(things) > 1:
        shown = "; ".join(sorted(f"model {sha[:12]}, {runtime}, {device}" for sha, runtime, device in things))
        raise SpecInvalid(f"an A/A floor needs profiles of the same thing, these differ: {shown}")
    floors = {}
    for stages in zip(*(profile.stages for profile in profiles), strict=True):
        measured = [processes for stage in stages if (processes := _processes(stage))]
        if len(measured) > 1:
            floors[stages[0].name.value] = _largest_difference([list(chain.from_iterable(one)) for one in measured])
    return floors


def _largest_difference(groups: Processes) -> float:
    """The largest |log ratio| of any two groups' minima or medians; 0 ns is taken for 1 ns."""
    pairs = [*combinations(map(min, groups), 2), *combinations(map(median, groups), 2)]
    return max((log(max(one, other, 1) / max(min(one, other), 1)) for one, other in pairs), default=0.0)


def _processes(stage: Stage) -> list[tuple[int, ...]]:
    return [run.values_ns for run in stage.timing_runs if run.chosen and run.values_ns]


# ---- one stage -------------------------------------------------------------------------------------------------------


def compare_stage(a: Stage, b: Stage, floor: float | None = None, names: Names = ("a", "b")) -> StageComparison:
    """What changed in one stage from ``a`` to ``b``; the parameters are those of :func:`compare`."""
    before, after = _processes(a), _processes(b)
    minimum, middle = _ratios(before, after)
    if floor is None and min(len(before), len(after)) >= PROCESSES_MIN:
        floor = max(_largest_difference(before), _largest_difference(after))
    sides = tuple(zip(names, (a, b), strict=True))
    answer, sentence = _judge(sides, minimum, middle, floor)
    memory, reason = _memory(a, b, names)
    return StageComparison(a.name, answer, sentence, minimum, middle, floor, memory, reason)


def _ratios(before: Processes, after: Processes) -> tuple[Ratio | None, Ratio | None]:
    """The ratio of minima and of medians, or None where a side was not measured or shows 0 ns."""
    if not before or not after:
        return None, None
    # One stream of random numbers for all four: two equal sides must not be resampled alike.
    random = Random(DEFAULT_SEED)
    minimum = _ratio(before, after, min, lambda processes: _bootstrap_minima(processes, random))
    middle = _ratio(before, after, median, lambda processes: bootstrap_medians(processes, RESAMPLES, random))
    return minimum, middle


def _ratio(
    before: Processes,
    after: Processes,
    figure: Callable[[list[int]], int],
    bootstrap: Callable[[Processes], list[int]],
) -> Ratio | None:
    one, other = figure(list(chain.from_iterable(before))), figure(list(chain.from_iterable(after)))
    if one <= 0 or other <= 0:
        return None
    if min(len(before), len(after)) < PROCESSES_MIN:
        return Ratio(other / one, None, None, one, other)
    drawn = zip(bootstrap(before), bootstrap(after), strict=True)
    lower, upper = percentile_interval([max(new, 1) / max(old, 1) for old, new in drawn], CONFIDENCE)
    return Ratio(other / one, min(lower, other / one), max(upper, other / one), one, other)


def _bootstrap_minima(processes: Processes, random: Random) -> list[int]:
    """Minima of resampled processes. Iterations are not resampled: that says nothing sound about an extreme value.

    (Bickel and Freedman, Some Asymptotic Theory for the Bootstrap, Annals of Statistics 9, 1981, section 6.)
    """
    minima = [min(values) for values in processes]
    return [min(random.choices(minima, k=len(minima))) for _ in range(RESAMPLES)]


_Sides = Sequence[tuple[str, Stage]]
"""The name and the stage of either side."""


def _judge(sides: _Sides, minimum: Ratio | None, middle: Ratio | None, floor: float | None) -> tuple[Answer, str]:
    """The answer and its sentence. "Changed" takes both figures, clear of the floor in the same direction."""
    title = STAGE_TITLES[sides[0][1].name]
    obstacle = _obstacle(sides, minimum, middle)
    if obstacle or minimum is None or middle is None or floor is None:
        return Answer.CANNOT_TELL, f"{title}: {obstacle or 'there is no floor to hold the difference against'}."
    directions = _direction(minimum, floor), _direction(middle, floor)
    figures = f"minimum {_shown(minimum)}, median {_shown(middle)}; A/A floor {show_share(expm1(floor))}"
    if directions in ((1, 1), (-1, -1)):
        noise = _trouble(sides, Trust.NOISY)
        if noise:
            return Answer.CANNOT_TELL, f"{title} {_LOOKS_CHANGED} {noise} ({figures})."
        return Answer.CHANGED, f"{title} is {'slower' if directions[0] > 0 else 'faster'}: {figures}."
    if any(directions):
        return Answer.CANNOT_TELL, f"{title}: minimum and median do not agree on a change ({figures})."
    hidden = max(abs(log(end)) for end in (minimum.lower, minimum.upper) if end is not None)
    most = show_share(expm1(hidden))
    if hidden > HIDDEN_CHANGE:
        return Answer.CANNOT_TELL, f"{title}: a change of {most} {_COULD_HIDE} ({figures})."
    return Answer.UNCHANGED, f"{title} is unchanged, a change beyond {most} is excluded: {figures}."


def _obstacle(sides: _Sides, minimum: Ratio | None, middle: Ratio | None) -> str | None:
    """Why nothing can be told before any figure is looked at, or None."""
    for side, stage in sides:
        if not _processes(stage):
            return f"{side} has no time ({stage.reason or stage.time_reason or 'no chosen timing run'})"
    invalid = _trouble(sides, Trust.INVALID)
    if invalid:
        return invalid
    if minimum is None or middle is None:
        return "a time of 0 ns has no ratio"
    if minimum.lower is None:
        counts = " and ".join(str(len(_processes(stage))) for _, stage in sides)
        return f"an interval needs {PROCESSES_MIN} processes or more on either side, there are {counts}"
    return None


def _trouble(sides: _Sides, trust: Trust) -> str | None:
    """Which side the verdict calls ``trust``, with its first reason, or None."""
    found = [
        f"{side} is {trust} ({_first(stage.verdict.reasons)})" for side, stage in sides if stage.verdict.trust is trust
    ]
    return " and ".join(found) or None


def _first(reasons: Sequence[str]) -> str:
    """The first reason, and how many others there are."""
    more = f", and {len(reasons) - 1} more" if len(reasons) > 1 else ""
    return (reasons[0] if reasons else "no reason given") + more


def _direction(ratio: Ratio, floor: float) -> int:
    """1 or -1 when the whole interval lies beyond the floor above or below 1, else 0."""
    if ratio.lower is not None and log(ratio.lower) > floor:
        return 1
    return -1 if ratio.upper is not None and log(ratio.upper) < -floor else 0


def _shown(ratio: Ratio) -> str:
    ends = ""
    if ratio.lower is not None and ratio.upper is not None:
        ends = f" ({_signed(ratio.lower - 1)} to {_signed(ratio.upper - 1)})"
    return f"{_signed(ratio.value - 1)}{ends}"


def _signed(share: float) -> str:
    return f"{100 * share:+.1f} %"


def _memory(a: Stage, b: Stage, names: Names) -> tuple[MemoryDelta | None, str | None]:
    if a.memory is None or b.memory is None:
        side, stage = (names[0], a) if a.memory is None else (names[1], b)
        return None, f"{side} has no memory figures ({stage.reason or stage.memory_reason or 'no reason given'})"
    delta = MemoryDelta(
        peak_lower_bytes=b.memory.peak.lower - a.memory.peak.lower,
        peak_upper_bytes=b.memory.peak.upper - a.memory.peak.upper,
        increase_lower_bytes=b.memory.increase.lower - a.memory.increase.lower,
        increase_upper_bytes=b.memory.increase.upper - a.memory.increase.upper,
    )
    return delta, None


# ---- what lies beside the stages -------------------------------------------------------------------------------------


def compare_layers(a: LayerTable, b: LayerTable, names: Names = ("a", "b")) -> LayerComparison:
    """The time ratio of every layer that both tables name, and the names that only one has; never a verdict."""
    before, after = _numbered(a), _numbered(b)
    pairs = [(old, after[key]) for key, old in before.items() if key in after]
    shared = [
        LayerRatio(old.name, old.time_ns, new.time_ns, layer_ratio((old.time_ns, a), (new.time_ns, b)))
        for old, new in pairs
    ]
    return LayerComparison(
        layers=tuple(shared),
        only_a=tuple(layer.name for key, layer in before.items() if key not in after),
        only_b=tuple(layer.name for key, layer in after.items() if key not in before),
        note=" ".join(
            [
                LAYER_NOTE,
                *([LAYERS_DISTURBED] if a.is_disturbed or b.is_disturbed else []),
                *(f"{side}: {table.reason}." for side, table in zip(names, (a, b), strict=True) if table.reason),
            ]
        ),
        is_disturbed=a.is_disturbed or b.is_disturbed,
    )


def layer_ratio(*sides: tuple[int, LayerTable]) -> float | None:
    """The second time in ns over the first, each with the table that it is from.

    None where either table is disturbed, and where a time is too few steps of its clock.
    """
    if any(table.is_disturbed or ns < STEPS_FOR_RATIO * max(1, table.resolution_ns or 1) for ns, table in sides):
        return None
    (before, _), (after, _) = sides
    return after / before


def _numbered(table: LayerTable) -> dict[tuple[str, int], Layer]:
    """The layers by what they can be matched by, and how many of that came before."""
    seen: dict[str, int] = {}
    found = {}
    for layer in table.layers:
        name = lasting_name(layer.name, layer.type)
        found[name, seen.setdefault(name, 0)] = layer
        seen[name] += 1
    return found


@dataclass(frozen=True, slots=True)
class LayerSides:
    """One layer in several profiles, None where one lacks it; ``number`` is its place among all, from 1."""

    number: int
    name: str
    layers: tuple[Layer | None, ...]

    @property
    def differences_ns(self) -> tuple[int, ...]:
        """What each other profile takes more than the first (negative: less); who lacks the layer takes no time for it."""
        first, *others = (0 if layer is None else layer.time_ns for layer in self.layers)
        return tuple(other - first for other in others)


def layers_side_by_side(tables: Sequence[LayerTable]) -> list[LayerSides]:
    """Every layer of any table: those of the first in their order, then what each other one has besides.

    They are matched by name; a name that occurs several times is matched in order.
    """
    sides = [_numbered(table) for table in tables]
    keys = dict.fromkeys(chain.from_iterable(sides))
    rows = (tuple(side.get(key) for side in sides) for key in keys)
    return [
        LayerSides(at, next(layer.name for layer in row if layer is not None), row) for at, row in enumerate(rows, 1)
    ]


def _basis(floors: Mapping[str, float]) -> str:
    if all(name in floors for name in StageName):
        return "The A/A floor was given: what the device shows between repeated profiles of the same thing."
    lead = "No A/A floor was given" + (
        f" for {', '.join(STAGE_TITLES[n].lower() for n in StageName if n not in floors)}" if floors else ""
    )
    return (
        f"{lead}: the floor is each stage's own largest difference between processes of the same profile. That misses "
        "what changes from one profile to the next (temperature, other programs); repeat a profile to measure it."
    )


def _differences(a: Profile, b: Profile) -> list[str]:
    """A sentence for everything that tells the two measurements apart, besides their results."""
    return [f"{label}: {one} against {other}" for label, (one, other) in differing([a, b])]


def differing(profiles: Sequence[Profile]) -> list[tuple[str, tuple[str, ...]]]:
    """What tells the measurements apart besides their results: a label, and each profile's own value (``none``: it has none)."""
    rows = [_circumstances(profile) for profile in profiles]
    labels = dict.fromkeys(chain.from_iterable(rows))
    found = ((label, tuple(row.get(label, "none") for row in rows)) for label in labels)
    return [(label, values) for label, values in found if len(set(values)) > 1]


def _circumstances(profile: Profile) -> dict[str, str]:
    """Under what a profile was measured, by label."""
    known = {
        "model": f"{profile.model.name} {profile.model.sha256[:12]}",
        "device": profile.device.name,
        "operating system": f"{profile.device.os} {profile.device.os_version}",
        "runtime": profile.runtime.name,
        "options": profile.request.options or "none",
        "dynolab": profile.dynolab_version,
        **{f"input {one.spec.name}": f"{one.spec.dtype} {one.spec.shape_text}, {one.source}" for one in profile.inputs},
        **{f"version of {name}": version for name, version in profile.runtime.versions.items()},
    }
    effective = {f"{key} in effect" if key in known else key: value for key, value in profile.runtime.effective.items()}
    return {**known, **effective}
