"""The answer first: what every report says of a profile before anything else.

Is it fast enough, does it fit, did it run where it should, and can that be trusted. No markup and no layout here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from dynolab.report.base import Say, crop, plainly
from dynolab.spec import precision
from dynolab.spec.facts import NOT_MEASURED, UnitTotal, fact, unit_totals
from dynolab.spec.measurements import Notice
from dynolab.spec.profiles import Profile, Stage, Tensor, Trust
from dynolab.spec.requirements import Decision, decide_all, trust_of, why_wide
from dynolab.spec.show import show_share

ASSUMED = "default-shape"
"""The code of a notice that a dimension was chosen."""
_MEMORY, _UNITS, _SHAPES = ("unread-memory", "memory-growth"), ("fallback",), ("other-sizes", "empty-input")
"""Codes of notices that are told beside a figure."""
SHAPES_MOST = 3
LONGEST_SHAPE = 60


@dataclass(frozen=True, slots=True)
class Item:
    """One figure or fact: its English title, which ``anchor`` defines, and its text."""

    title: str
    text: str
    anchor: str | None = None
    reason: str | None = None
    """Why there is none, in English; the text is then ``-``."""
    trust: Trust | None = None
    """How far it can be trusted, where it has a verdict of its own."""
    doubtful: bool = False
    """Whether the text itself is a warning: shapes that were assumed."""
    notices: tuple[Notice, ...] = ()
    """What must be known beside it."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What stands first; ``why`` is the English sentence that says why the range of the time is wide, if it is."""

    alert: str | None
    """What must be known before any figure: that the model was computed in another precision than its file has."""
    items: tuple[Item, ...]
    why: str | None
    reason: str | None
    """The reason in ``why``, as the verdict has it: it need not be told again."""
    decisions: tuple[Decision, ...]
    notices: tuple[Notice, ...]
    """Those of the profile that no item tells."""


def answer(profile: Profile, say: Say = plainly) -> Answer:
    """The answer that a profile gives; what is made of words and figures is said by ``say``, titles where they stand."""
    why, reason = _why(profile.inference)
    items = (_time(profile), _as_it_was(profile), _memory(profile), _units(profile, say), _precision(profile),
             _shapes(profile, say))  # fmt: skip
    beside = (notice for item in items for notice in item.notices)
    told = {*beside, *_assumed(profile), *_notices(profile, (precision.CODE,))}
    return Answer(
        alert=precision.unlike_file(profile.model.precision, profile.runtime.effective, profile.layers),
        items=items,
        why=why,
        reason=reason,
        decisions=tuple(decide_all(profile)),
        notices=tuple(notice for notice in profile.notices if notice not in told),
    )


def listed(found: Answer) -> list[Notice]:
    """Every notice but those on dimensions that were chosen: for a report that shows none beside figures."""
    alert = [] if found.alert is None else [Notice("loud", precision.CODE, found.alert)]
    return [*alert, *(notice for item in found.items for notice in item.notices), *found.notices]


def _why(stage: Stage) -> tuple[str | None, str | None]:
    """The sentence on a time that is not clean, and the reason in it."""
    if stage.time is None:
        return None, None
    verdict = stage.time.verdict or replace(stage.verdict, trust=trust_of(stage, "time"))
    told = why_wide(verdict, ranged=stage.time.lower_ns is not None)
    return told, verdict.reasons[0] if told else None


def _figure(profile: Profile, key: str, trust: Trust | None, codes: Sequence[str] = ()) -> Item:
    found = fact(key)
    return Item(found.title, found.show(profile), found.anchor, found.reason(profile), trust,
                notices=_notices(profile, codes))  # fmt: skip


def _notices(profile: Profile, codes: Sequence[str]) -> tuple[Notice, ...]:
    return tuple(notice for notice in profile.notices if notice.code in codes)


def _time(profile: Profile) -> Item:
    trust = None if profile.inference.time is None else trust_of(profile.inference, "time")
    return _figure(profile, "estimated_inference_time", trust)


def _as_it_was(profile: Profile) -> Item:
    """Median and percentiles of all iterations, calm or not; p99 where a profile has it, since it takes more of them."""
    keys = [f"inference_time_{part}" for part in ("median", "p90", "p99")]
    if fact(keys[2]).value(profile) is None:
        keys.pop()
    shown = [fact(key).show(profile) for key in keys]
    missing = next((reason for key in keys if (reason := fact(key).reason(profile))), None)
    title = "Median, p90, p99" if len(keys) > 2 else "Median, p90"
    if all(text == "-" for text in shown):
        return Item(title, "-", "percentiles", missing)
    return Item(title, ", ".join(shown), "percentiles")


def _memory(profile: Profile) -> Item:
    total = profile.process_total
    known = total is not None and profile.process_total_peak is not None
    return _figure(profile, "process_total_peak_range", total.verdict.trust if total and known else None, _MEMORY)


def _units(profile: Profile, say: Say) -> Item:
    """Where the layers ran, by time; by their number where their times say little."""
    title, notices, totals = "Ran on", _notices(profile, _UNITS), unit_totals(profile.layers)
    if not totals:
        asked = ", ".join(profile.runtime.requested_units)
        text = say("asked for {units}", units=asked) if asked else "-"
        return Item(title, text, "layers", None if asked else profile.layers.reason or NOT_MEASURED, notices=notices)
    if len(totals) == 1:
        unit, count = totals[0].unit.value, f"{totals[0].layers:,}"
        text = (
            say("{unit}, 1 layer", unit=unit)
            if count == "1"
            else say("{unit}, all {count} layers", unit=unit, count=count)
        )
        return Item(title, text, "layers", notices=notices)
    text = ", ".join(f"{total.unit.value} {show_share(_share(profile, total))}" for total in totals)
    words = "{shares} of the layers" if profile.layers.is_disturbed else "{shares} of the time"
    return Item(title, say(words, shares=text), "layers", notices=notices)


def _share(profile: Profile, total: UnitTotal) -> float:
    return total.layer_share if profile.layers.is_disturbed else total.time_share


def _precision(profile: Profile) -> Item:
    found = precision.of_profile(profile)
    reason = None if found else "neither the runtime nor the file tells"
    return Item("Precision", found or "-", None, reason)


def _shapes(profile: Profile, say: Say) -> Item:
    """The inputs' shapes; where some were assumed, those."""
    names = set(_assumed(profile).values())
    assumed = [one for one in profile.inputs if one.spec.name in names]
    shown = assumed or list(profile.inputs)
    text = ", ".join(map(_shape, shown[:SHAPES_MOST])) or "-"
    if len(shown) > SHAPES_MOST:
        text = say("{shapes} and {count} more", shapes=text, count=f"{len(shown) - SHAPES_MOST:,}")
    title, notices = "Assumed shapes" if assumed else "Input shapes", _notices(profile, _SHAPES)
    return Item(title, text, None, None if shown else NOT_MEASURED, doubtful=bool(assumed), notices=notices)


def _shape(tensor: Tensor) -> str:
    sizes = ",".join("?" if size is None else str(size) for size in tensor.spec.shape)
    return crop(f"{tensor.spec.name}={sizes or '()'}", LONGEST_SHAPE)


def _assumed(profile: Profile) -> dict[Notice, str]:
    """The notices on dimensions that were chosen, each with the name of its input; only of inputs that the profile has."""
    names = {one.spec.name for one in profile.inputs}
    found = ((notice, _begin(notice.text, names)) for notice in profile.notices if notice.code == ASSUMED)
    return {notice: name for notice, name in found if name is not None}


def _begin(text: str, names: Collection[str]) -> str | None:
    """The longest of the names that the text begins with, before a colon; names may hold colons themselves."""
    ends = (found.start() for found in re.finditer(": ", text))
    return max((text[:end] for end in ends if text[:end] in names), key=len, default=None)


def without_why(text: str, why: str | None) -> str:
    """A decision's sentence without the one that is told once for all."""
    return " ".join(text.replace(why, "").split()) if why else text
