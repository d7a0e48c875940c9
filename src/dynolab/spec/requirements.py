"""Limits on figures, such as ``estimated_inference_time <= 33 ms``, and whether a profile meets them.

A time that is a range keeps a limit when its upper end does, and misses it when its lower end does (measuring.md
section 5); medians and percentiles are judged as they were seen.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from enum import StrEnum
from typing import Literal

from dynolab.errors import SpecInvalid
from dynolab.spec import facts
from dynolab.spec.facts import Fact
from dynolab.spec.measurements import Range, StageName
from dynolab.spec.profiles import EMULATED, RANKS, MemoryRun, Profile, Stage, TimingRun, Trust, Verdict
from dynolab.spec.show import Kind, Value, show, show_share, show_time_range

_OPERATORS: dict[str, Callable[[float, float], bool]] = {
    "<=": operator.le,
    "<": operator.lt,
    ">=": operator.ge,
    ">": operator.gt,
}
_WORDS = {"<=": "at most", "<": "less than", ">=": "at least", ">": "more than"}
_TIMES = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9}
_BYTES = {"B": 1, "kB": 10**3, "MB": 10**6, "GB": 10**9, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}
_UNITS: dict[Kind, dict[str, int | Decimal]] = {
    "time_ns": {**_TIMES},
    "bytes": {**_BYTES},
    "range": {**_BYTES},
    "ratio": {"%": Decimal("0.01"), "": 1},
    "count": {"": 1},
    "rate": {"/s": 1, "": 1},
    "joules": {"uJ": Decimal("1e-6"), "µJ": Decimal("1e-6"), "mJ": Decimal("0.001"), "J": 1},
    "watts": {"mW": Decimal("0.001"), "W": 1},
}


class Outcome(StrEnum):
    """What a profile says about a requirement."""

    MET = "met"
    NOT_MET = "not met"
    CANNOT_TELL = "cannot tell"


@dataclass(frozen=True, slots=True)
class Requirement:
    """A limit on one figure; ``limit`` is in the figure's own unit (ns, bytes, a share of 1, a plain number)."""

    text: str
    key: str
    operator: str
    limit: float

    @property
    def fact(self) -> Fact:
        """The figure that is limited."""
        found = facts.find(self.key)
        if found is None:
            raise SpecInvalid(f"there is no figure named {self.key!r}")
        return found


@dataclass(frozen=True, slots=True)
class Decision:
    """What was required (as it was written), the outcome, and a sentence with the numbers."""

    text: str
    outcome: Outcome
    sentence: str
    again: bool = False
    """Whether the same request may be decided when it is run again, on a calmer device; only what cannot be told is."""
    figure: str = "-"
    """The value as people read it, as in the sentence."""
    within: float | None = None
    """The share of the iterations within the limit, where it limits the inference time."""
    why: str = ""
    """What the sentence says beyond value, limit and share: why it is no better known, and what would help."""


def parse(text: str) -> Requirement:
    """The requirement that a text such as ``process_total_peak <= 512 MB`` states.

    Raises :class:`SpecInvalid`, naming the part that does not fit, with the nearest known ones as the hint.
    """
    parts = re.fullmatch(r"\s*([^\s<>=!]*)\s*([<>=!]*)\s*(.*?)\s*", text, re.DOTALL)
    key, sign, rest = parts.groups() if parts else ("", "", "")
    if sign not in _OPERATORS:
        shown = f"{sign!r} is no comparison" if sign else "there is no comparison"
        raise SpecInvalid(f"requirement {text!r}: {shown}", hint=f"use one of {', '.join(_OPERATORS)}: {_EXAMPLE}")
    found = facts.find(key)
    if found is None:
        raise _unknown(text, key)
    return Requirement(text.strip(), found.key, sign, _limit(text, found, rest))


_EXAMPLE = "estimated_inference_time <= 33 ms"


def _unknown(text: str, key: str) -> SpecInvalid:
    name, dot, _ = key.rpartition(".")
    known = facts.names() if not dot else [f"{name}.{end}" for end in facts.RANGE_ENDS if facts.find(f"{name}.{end}")]
    near = _meant(key) or difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    hint = f"did you mean {' or '.join(near)}?" if near else f"such as: {_EXAMPLE}"
    return SpecInvalid(f"requirement {text!r}: there is no figure named {key!r}", hint=hint)


_MEANINGS = (
    (("p95",), ("inference_time_p90", "inference_time_p99")),
    (("p90",), ("inference_time_p90",)),
    (("p99",), ("inference_time_p99",)),
    (("p50", "median", "mean", "average", "avg"), ("inference_time_median",)),
    (("fps", "qps", "ips", "throughput", "rate"), ("iterations_per_second",)),
    (("memory", "mem", "ram", "rss"), ("process_total_peak",)),
    (("load", "startup", "start"), ("first_load_time", "warm_load_time")),
    (("latency", "time", "duration", "speed", "ms"), ("estimated_inference_time",)),
    (("size", "weights"), ("model_size",)),
    (("energy", "joule", "joules", "battery"), ("inference_energy",)),
    (("power", "watt", "watts"), ("inference_power", "inference_energy")),
)
"""Words that people use for a figure, and the figures; what is said first decides, so that a mean latency is a median."""
_FILLERS = frozenset(
    {"peak", "max", "maximum", "min", "minimum", "total", "usage", "used", "model", "file", "inference", "infer"}
)
"""Words that may stand beside them and decide nothing."""


def _meant(key: str) -> tuple[str, ...]:
    """The figures that people mean by a name made of everyday words; empty for any other name.

    Names that look alike are not it: ``memory`` looks like ``io_memory``, and who limits memory means the whole process.
    """
    words = set(re.split(r"[_\-. ]+", key.lower()))
    known = _FILLERS.union(*(names for names, _ in _MEANINGS))
    if not words <= known:
        return ()
    return next((figures for names, figures in _MEANINGS if words & set(names)), ())


def _limit(text: str, fact: Fact, rest: str) -> float:
    parts = re.fullmatch(r"(-?\d{1,18}(?:\.\d{1,18})?)\s*(.*)", rest, re.DOTALL)
    if parts is None:
        shown = f"{rest!r} is no number" if rest else "the limit is missing"
        raise SpecInvalid(f"requirement {text!r}: {shown}", hint=f"such as: {_EXAMPLE}")
    units = _UNITS[fact.kind]
    number, unit = parts.groups()
    if unit not in units:
        raise SpecInvalid(f"requirement {text!r}: {_unit_misfit(fact, number, unit)}", hint=_unit_hint(units, unit))
    if number.startswith("-") and fact.anchor != "layer_overhead":
        raise SpecInvalid(f"requirement {text!r}: {fact.key} is never below 0", hint=f"such as: {_EXAMPLE}")
    return float(Decimal(number) * units[unit])


def _unit_misfit(fact: Fact, number: str, unit: str) -> str:
    return f"{unit!r} is no unit of {fact.key}" if unit else f"the limit {number} needs a unit"


def _unit_hint(units: dict[str, int | Decimal], unit: str) -> str:
    known = [name or "none" for name in units]
    same = [name for name in units if name and name.lower() == unit.lower()]
    return f"did you mean {same[0]}?" if same else f"its units: {', '.join(known)}"


def decide(requirement: Requirement, profile: Profile) -> Decision:
    """Whether the profile meets the requirement; when its numbers cannot tell, the sentence says why."""
    fact = requirement.fact
    value, reason = fact.value(profile), fact.reason(profile)
    if value is None:
        said = f"{fact.title} was not measured: {_bare(reason)}.{_FINAL}"
        return Decision(requirement.text, Outcome.CANNOT_TELL, said, why=said)
    outcome, why, again = _outcome(requirement, value, _bounds(fact, value, profile))
    figure = _exact(fact, value, requirement, profile)
    said = f"{fact.title} is {figure}; required: {_wanted(requirement)}."
    within = _share_within(fact, requirement, profile)
    if within is not None:
        said += f" {show_share(within)} of the iterations were within it here."
    return Decision(requirement.text, outcome, said + why, again, figure, within, why.strip())


def _outcome(requirement: Requirement, value: Value, bounds: _Bounds) -> tuple[Outcome, str, bool]:
    """The outcome, what is to be said of it, and whether another run may tell."""
    lowest, highest = (_OPERATORS[requirement.operator](end, requirement.limit) for end in (bounds.low, bounds.high))
    if lowest == highest:
        return Outcome.MET if lowest else Outcome.NOT_MET, bounds.note, False
    if _straddled(requirement, value):
        name = _name(requirement)
        ends = f" The limit lies inside the range.{_FINAL} To limit one end: {name}.upper or {name}.lower."
        return Outcome.CANNOT_TELL, bounds.note + ends, False
    return Outcome.CANNOT_TELL, bounds.note + bounds.doubt + bounds.advice, bounds.advice != _FINAL


_AGAIN = " A run on a calmer device may tell."
_REPEATS = " More repeats may tell."
_FINAL = " Running it again will not change that."


def _straddled(requirement: Requirement, value: Value) -> bool:
    """Whether a range's own ends disagree, whatever disturbed them."""
    if not isinstance(value, Range):
        return False
    keeps = _OPERATORS[requirement.operator]
    return keeps(value.lower, requirement.limit) != keeps(value.upper, requirement.limit)


def _name(requirement: Requirement) -> str:
    """The figure's name as it was written."""
    return requirement.text.partition(requirement.operator)[0].strip()


def decide_all(profile: Profile, texts: Sequence[str] | None = None) -> list[Decision]:
    """The decision on each requirement, by default those that the profile was asked for.

    A text that cannot be read (a profile may come from another version) cannot be told, and says so.
    """
    decisions = []
    for text in profile.request.requirements if texts is None else texts:
        try:
            decisions.append(decide(parse(text), profile))
        except SpecInvalid as error:
            decisions.append(Decision(text, Outcome.CANNOT_TELL, error.message, why=error.message))
    return decisions


def _bare(reason: str | None) -> str:
    return (reason or facts.NOT_MEASURED).removesuffix(".")


def _wanted(requirement: Requirement) -> str:
    """The limit in words, its number and unit as they were written."""
    return f"{_WORDS[requirement.operator]} {requirement.text.split(requirement.operator, 1)[1].strip()}"


def _share_within(fact: Fact, requirement: Requirement, profile: Profile) -> float | None:
    """How many of the iterations kept a limit on the inference time: the minimum alone says little about an app."""
    if fact.stage is not StageName.INFERENCE or fact.lower is None or requirement.operator not in ("<=", "<"):
        return None
    values = [value for run in profile.inference.timing_runs if run.chosen for value in run.values_ns]
    within = sum(_OPERATORS[requirement.operator](value, requirement.limit) for value in values)
    return within / len(values) if values else None


def _exact(fact: Fact, value: Value, requirement: Requirement, profile: Profile) -> str:
    """The value as people read it, in full where rounding would hide on which side of the limit it lies."""
    shown = show(fact.kind, value)
    lower = fact.lower(profile) if fact.lower else None
    if lower is not None and not isinstance(value, Range):
        shown = show_time_range(lower, value)
    if fact.margin is not None:
        return fact.show(profile)
    limit = show("bytes" if fact.kind == "range" else fact.kind, requirement.limit)
    if isinstance(value, Range):
        hidden = any(show("bytes", end) == limit and end != requirement.limit for end in (value.lower, value.upper))
        return f"{shown} ({value.lower:,} - {value.upper:,} bytes)" if hidden else shown
    if shown != limit or value == requirement.limit:
        return shown
    unit = {"time_ns": " ns", "bytes": " bytes"}.get(fact.kind, "")
    return f"{shown} ({value:,}{unit})"


# ---- how far a number can be trusted --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Bounds:
    """Between which values the true one lies, as far as the profile tells; ``note`` is the sentence that says why."""

    low: float
    high: float
    note: str = ""
    doubt: str = ""
    """What is added to the note where the limit lies between them."""
    advice: str = _AGAIN
    """What may bring them nearer to each other."""


_ANY = float("inf")
_ADDING = ("time", "median", "p90", "p99")  # order statistics: each rises with the noise that is added below it


_WITNESSED = {"runtime_import_time": StageName.WARM_LOAD, "harness_floor": StageName.INFERENCE}
"""Times without witnesses of their own, and the stage that was measured beside them."""


def _bounds(fact: Fact, value: Value, profile: Profile) -> _Bounds:
    margin = fact.margin(profile) if fact.margin else None
    if margin is not None and not isinstance(value, Range):
        doubt = f" It may be off by {show(fact.kind, margin)} either way."
        return _Bounds(value - margin, value + margin, doubt=doubt)
    name = fact.stage or _WITNESSED.get(fact.key)
    stage: Stage | None = None if name is None else getattr(profile, name.value)
    verdict = _verdict(fact, stage, profile)
    if stage is not None and stage.time and stage.time.lower_ns is not None and fact.kind in ("time_ns", "rate"):
        return _seen_bounds(fact, value, stage, verdict, profile)
    sure = _sure_bounds(fact, value, stage, profile)
    warm = stage is not None and _perhaps_warm(stage)
    return sure if verdict.trust is Trust.CLEAN else _doubtful_bounds(fact, sure, verdict, perhaps_warm=warm)


def _verdict(fact: Fact, stage: Stage | None, profile: Profile) -> Verdict:
    """How far the figure can be trusted, and why no further."""
    total = profile.process_total
    if fact.anchor == "process_total" and total is not None:
        return total.verdict
    if stage is None or fact.kind == "count":
        return Verdict(Trust.CLEAN)
    part: Literal["time", "memory"] = "time" if fact.kind in ("time_ns", "rate") else "memory"
    summary = stage.time if part == "time" else stage.memory
    if summary is not None and summary.verdict is not None:
        return summary.verdict
    return replace(stage.verdict, trust=trust_of(stage, part))


def _seen_bounds(fact: Fact, value: Value, stage: Stage, verdict: Verdict, profile: Profile) -> _Bounds:
    """The bounds of a time with a range, or of what was seen beside it (such as a median)."""
    seen = float(value) if not isinstance(value, Range) else float(value.upper)
    if verdict.trust is Trust.INVALID:
        note = f" The stage is invalid: {_bare(next(iter(verdict.reasons), None))}."
        return _Bounds(-_ANY, _ANY, note, advice=_FINAL if _perhaps_warm(stage) else _AGAIN)
    low = seen
    if fact.key in _WITNESSED and stage.time is not None:
        low *= 1 - (stage.time.width or 0.0)
    if fact.key == "runtime_import_time" and profile.runtime_import is not None:
        best = sorted(profile.runtime_import.all_times_ns)[:2]
        low = min(low, seen - 2 * (best[-1] - best[0]))  # measuring.md section 2: the gap of the two best, twice
    lower = fact.lower(profile) if fact.lower else None
    if lower is not None:
        low = lower
    if _perhaps_warm(stage):
        return _Bounds(low, _ANY, " It was not proven to be cold.", advice=_FINAL)
    wide = why_wide(verdict) if lower is not None else None
    return _Bounds(low, seen, doubt=f" {wide}" if wide else "")


def why_wide(verdict: Verdict, *, ranged: bool = True) -> str | None:
    """The sentence that says why a time's range is wide, or why it is none; None where nothing is to be said.

    Not ``ranged`` are times of schema 1.
    """
    if verdict.trust is Trust.CLEAN or not verdict.reasons:
        return None
    is_wide = ranged and verdict.trust is Trust.NOISY and EMULATED not in verdict.readings
    told = "The range is wide" if is_wide else f"The stage is {verdict.trust}"
    return f"{told}: {_bare(verdict.reasons[0])}."


def _sure_bounds(fact: Fact, value: Value, stage: Stage | None, profile: Profile) -> _Bounds:
    """The bounds of a figure that nothing disturbed."""
    low, high = (value.lower, value.upper) if isinstance(value, Range) else (value, value)
    if fact.repeats is not None:
        return _memory_bounds(low, high, fact.repeats(profile), profile)
    if fact.key == "runtime_import_time" and profile.runtime_import is not None:
        best = sorted(profile.runtime_import.all_times_ns)[:2]
        return _Bounds(low - 2 * (best[-1] - best[0]), high)  # measuring.md section 2: the gap of the two best, twice
    if stage is not None and fact.kind == "time_ns" and _perhaps_warm(stage):
        return _Bounds(low, _ANY, " It was not proven to be cold.", advice=_FINAL)
    if stage is not None and fact.key.endswith("_median") and stage.time and stage.time.median_interval_ns:
        first, last = stage.time.median_interval_ns
        note = f" Its 95 % interval is {show('time_ns', first)} to {show('time_ns', last)}."
        return _Bounds(min(first, low), max(last, high), note)
    return _Bounds(low, high)


def _memory_bounds(low: float, high: float, repeats: Sequence[Range], profile: Profile) -> _Bounds:
    """All that the processes showed, and beyond it the step that their readings are exact to."""
    lowest, highest = (
        min(low, max(0, min((one.lower for one in repeats), default=low))),
        max(high, max((one.upper for one in repeats), default=high)),
    )
    step = facts.fact("memory_resolution").value(profile)
    exact = step if isinstance(step, int) else 0
    seen = f"{show('bytes', lowest)} to {show('bytes', highest)}"
    doubt = f" Its processes showed {seen}, each exact to {show('bytes', exact)}."
    advice = _FINAL if (lowest, highest) == (low, high) else _REPEATS
    return _Bounds(lowest - exact, highest + exact, doubt=doubt, advice=advice)


def _doubtful_bounds(fact: Fact, sure: _Bounds, verdict: Verdict, *, perhaps_warm: bool) -> _Bounds:
    """The bounds of a figure whose passes are noisy or invalid."""
    note = f" The stage is {verdict.trust}" + (f": {_bare(verdict.reasons[0])}." if verdict.reasons else ".")
    rate, grows = fact.kind == "rate", fact.key.rsplit("_", 1)[-1] in _ADDING or fact.key in _WITNESSED
    if verdict.trust is Trust.INVALID or not (grows or rate) or perhaps_warm:
        return _Bounds(-_ANY, _ANY, note, advice=_FINAL if perhaps_warm else _AGAIN)
    if rate:
        return _Bounds(sure.low, _ANY, f"{note} Noise only slows down.")
    return _Bounds(-_ANY, sure.high, f"{note} Noise only adds time.")


def _perhaps_warm(stage: Stage) -> bool:
    """A first load that was not proven cold may have been *faster* than a cold one."""
    return stage.name is StageName.FIRST_LOAD and stage.cold is not None and not stage.cold.proven


def trust_of(stage: Stage, part: Literal["time", "memory"]) -> Trust:
    """How far a stage's times, or its memory, can be trusted.

    In profiles of schema 1 that is the stage's verdict, except where only the other pass explains it: a crowded processor
    disturbs the timing pass and leaves memory as it is.
    """
    summary = stage.time if part == "time" else stage.memory
    if summary is not None and summary.verdict is not None:
        return summary.verdict.trust
    timing = _worst([run for run in stage.timing_runs if run.chosen])
    memory = _worst(stage.memory.runs if stage.memory is not None else ())
    its, other = (timing, memory) if part == "time" else (memory, timing)
    excused = its is Trust.CLEAN and other is not None and RANKS[other] >= RANKS[stage.verdict.trust]
    return Trust.CLEAN if excused else stage.verdict.trust


def _worst(runs: Sequence[TimingRun] | Sequence[MemoryRun]) -> Trust | None:
    return max((run.verdict.trust for run in runs), key=RANKS.__getitem__, default=None)
