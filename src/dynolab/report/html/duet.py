"""A duet worked out for a page: the answer, each stage's times and memory with the interval of its change. No markup but pictures."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from markupsafe import Markup

from dynolab.report.base import Say
from dynolab.report.html.svg import element, linear, percent, picture
from dynolab.spec.answers import Answer
from dynolab.spec.duets import Duet, DuetSide, MemoryDuet, Ratio, StageDuet
from dynolab.spec.facts import STAGE_TITLES
from dynolab.spec.show import show_change, show_range, show_time

_HEIGHT, _MIDDLE, _DOT = 20, 10, 4
_LEAST_SPAN, _MOST_SPAN = 0.05, 1.0
"""Shares on either side of no change that the pictures span, at least and at most: what lies beyond is drawn at the end."""


@dataclass(frozen=True, slots=True)
class DuetRow:
    """One figure of both sides, with how much B's differs from A's: ``word`` is ``slower``, ``more``, ``unchanged``, ..."""

    title: str
    figure: str
    """Of memory: ``peak`` or ``increase``."""
    stage: str
    """A stage's name, or ``total``."""
    a: str
    b: str
    word: str
    change: str
    bar: Markup | None
    reason: str | None
    """Why there is no change to show, in English."""


@dataclass(frozen=True, slots=True)
class DuetView:
    """What a page says of a duet: the answer of the first stage that was to be decided, then everything."""

    word: str
    change: str
    reason: str | None
    decided_s: int | None
    wall_s: int
    times: list[DuetRow]
    memory: list[DuetRow]
    memory_reason: str | None
    a: DuetSide
    b: DuetSide
    inputs: str
    differences: tuple[str, ...]
    notices: tuple[str, ...]
    sandbox: str
    pairs: int
    windows: int
    confidence: str
    floor: str
    span: str
    """How much the pictures span on either side."""


def duet_view(found: Duet, say: Say) -> DuetView:
    """The view of a duet."""
    span = _span(found)
    shown = [stage for stage in found.stages if stage.ratio is not None or stage.name in found.asked]
    times = [_time(stage, found.floor, span, say) for stage in shown]
    first = next(row for row in times if row.stage == found.asked[0])
    specs = (f"{one.spec.name} {one.spec.dtype} {one.spec.shape_text}, {one.source}" for one in found.a.inputs)
    return DuetView(
        word=first.word,
        change=first.change,
        reason=first.reason,
        decided_s=None if found.decided_after_s is None else max(1, round(found.decided_after_s)),
        wall_s=max(1, round(found.wall_s)),
        times=times,
        memory=[_memory(one, found.floor, span, say) for one in found.memory],
        memory_reason=found.memory_reason,
        a=found.a,
        b=found.b,
        inputs="; ".join(specs),
        differences=found.differences,
        notices=found.notices,
        sandbox=found.environment.get("sandbox", "unknown"),
        pairs=len(found.pairs),
        windows=sum(len(pair.windows) for pair in found.pairs),
        confidence=f"{100 * found.confidence:g} %",
        floor=f"{100 * found.floor:g} %",
        span=f"{100 * span:.0f} %",
    )


def _time(stage: StageDuet, floor: float, span: float, say: Say) -> DuetRow:
    a, b = ("–" if one is None else show_time(one) for one in (stage.a_ns, stage.b_ns))
    word = {1: "slower", -1: "faster"}.get(stage.direction) or _undirected(stage.answer)
    title = STAGE_TITLES[stage.name]
    return _row((title, ""), stage.name.value, (a, b), word, stage.ratio, stage.reason, (floor, span, say))


def _memory(one: MemoryDuet, floor: float, span: float, say: Say) -> DuetRow:
    ends = tuple(show_range(side, "–") for side in (one.a, one.b))
    word = {1: "more", -1: "less"}.get(one.direction) or _undirected(one.answer)
    title = STAGE_TITLES[one.stage] if one.stage is not None else "Whole process"
    stage = one.stage.value if one.stage is not None else "total"
    return _row((title, one.figure), stage, (ends[0], ends[1]), word, one.upper, one.reason, (floor, span, say))


def _undirected(answer: Answer) -> str:
    return "unchanged" if answer is Answer.UNCHANGED else "cannot-tell"


def _row(
    names: tuple[str, str],
    stage: str,
    sides: tuple[str, str],
    word: str,
    ratio: Ratio | None,
    reason: str | None,
    drawn: tuple[float, float, Say],
) -> DuetRow:
    change = "" if ratio is None else show_change(ratio.value, ratio.lower, ratio.upper)
    label = ", ".join(drawn[2](name) for name in names if name)
    bar = None if ratio is None else _bar(ratio, *drawn, f"{label}: {change}")
    return DuetRow(*names, stage, *sides, word, change, bar, reason)


def _ratios(found: Duet) -> Iterator[Ratio]:
    yield from (one.ratio for one in found.stages if one.ratio is not None)
    yield from (one.upper for one in found.memory if one.upper is not None)


def _span(found: Duet) -> float:
    """How far from no change the pictures reach, so that every interval is seen as far as that is of use."""
    far = [abs(end - 1) for ratio in _ratios(found) for end in (ratio.lower, ratio.upper)]
    return min(_MOST_SPAN, max([_LEAST_SPAN, 2 * found.floor, *(1.1 * one for one in far)]))


def _bar(ratio: Ratio, floor: float, span: float, say: Say, label: str) -> Markup:
    """The interval as a line with a dot at the value; behind it the band that counts as no change, and no change itself."""
    place = linear(1 - span, 1 + span, 0.02, 0.98)
    near, low, high, middle = (percent(place(one)) for one in (1 - floor, ratio.lower, ratio.upper, ratio.value))
    width = percent(place(1 + floor) - place(1 - floor))
    parts: Iterable[Markup] = (
        element("rect", element("title", say("no change")), x=near, y=0, width=width, height=_HEIGHT, class_="floor"),
        element("line", x1=percent(place(1)), x2=percent(place(1)), y1=0, y2=_HEIGHT, class_="zero"),
        element("line", x1=low, x2=high, y1=_MIDDLE, y2=_MIDDLE, class_="interval"),
        *(element("line", x1=at, x2=at, y1=_MIDDLE - 4, y2=_MIDDLE + 4, class_="interval") for at in (low, high)),
        element("circle", cx=middle, cy=_MIDDLE, r=_DOT, class_="value"),
    )
    return picture(_HEIGHT, parts, label=label, class_="change-bar")
