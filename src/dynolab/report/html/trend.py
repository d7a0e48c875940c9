"""A figure over time as a picture: a mark per measurement, whose form tells its verdict, and where it changed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from markupsafe import Markup

from dynolab.report.html.iterations import time_ticks
from dynolab.report.html.svg import element, linear, nice_ticks, percent, picture
from dynolab.spec.measurements import Range
from dynolab.spec.show import show_bytes

_HEIGHT, _TOP, _BOTTOM = 260, 44, 34
_TOLD = (13, 29)
"""Heights of what is told of changes, by turns: changes that follow each other closely do not cover each other."""
_FROM_ZERO = 0.5
"""A scale whose lowest value is below this share of the highest begins at 0."""
_FORMS = {
    "clean": "M0-5a5 5 0 1 0 .01 0z",
    "noisy": "M0-7L7 0L0 7L-7 0Z",
    "invalid": "M-5-5L5 5M-5 5L5-5",
}
_SIGNS = {"slower": "▲", "faster": "▼"}


@dataclass(frozen=True, slots=True)
class Mark:
    """One measurement: its value, or the two ends of its range; the extent of its repeats; its verdict; where it leads.

    ``change`` is ``slower``, ``faster`` or nothing, ``share`` how much; ``value`` is None where nothing was measured.
    """

    at: datetime
    value: Range | None
    extent: Range | None
    trust: str
    title: str
    place: str
    change: str = ""
    share: str = ""


@dataclass(frozen=True, slots=True)
class TrendChart:
    """The scale's figures, the picture right of them, and where the scale begins if that is not 0."""

    levels: Markup
    picture: Markup
    start: float | None


def trend_chart(marks: Sequence[Mark], *, kind: str, label: str) -> TrendChart | None:
    """The marks in their order, evenly spaced; ``kind`` is ``time_ns`` or bytes. None where none has a value."""
    ends = [end for mark in marks for span in (mark.value, mark.extent) if span for end in (span.lower, span.upper)]
    if not ends:
        return None
    low, high = _limits(min(ends), max(ends))
    down = linear(low, high, _HEIGHT - _BOTTOM, _TOP)
    ticks = (
        time_ticks(low, high) if kind == "time_ns" else [(tick, show_bytes(tick)) for tick in nice_ticks(low, high, 4)]
    )
    levels = (element("text", text, x="100%", y=round(down(tick) + 4, 1), text_anchor="end") for tick, text in ticks)
    rules = [
        element("line", x1=0, x2="100%", y1=round(down(tick), 1), y2=round(down(tick), 1), class_="rule")
        for tick, _ in ticks
    ]
    parts = [*rules, *_dates(marks), *_joints(marks, down), *_drawn(marks, down)]
    shown = element("svg", *parts, aria_hidden="true", width="100%", height=_HEIGHT, class_="trend")
    return TrendChart(picture(_HEIGHT, levels, label=label), shown, low if low > 0 else None)


def _limits(least: float, most: float) -> tuple[float, float]:
    if least < _FROM_ZERO * most:
        return 0.0, (most or 1.0) * 1.05
    room = 0.08 * (most - least) or 0.05 * (most or 1.0)
    return max(least - room, 0.0), most + room


def _place(at: int, count: int) -> float:
    return (at + 0.5) / count


def _dates(marks: Sequence[Mark]) -> Iterator[Markup]:
    """The first instant, the last, and one between."""
    first, last = marks[0].at, marks[-1].at
    clock = "%H:%M:%S" if (last - first).total_seconds() < 60 * max(len(marks) - 1, 1) else "%H:%M"
    days, same_day = (last - first).days > 1, first.date() == last.date()
    wanted = {0: "start", len(marks) // 2: "middle", len(marks) - 1: "end"} if len(marks) > 2 else {0: "start"}
    for at, anchor in wanted.items():
        x = {"start": 0.0, "middle": _place(at, len(marks)), "end": 1.0}[anchor]
        yield element(
            "text",
            marks[at].at.strftime("%Y-%m-%d" if days else clock if at and same_day else f"%m-%d {clock}"),
            x=percent(x),
            y=_HEIGHT - 6,
            text_anchor=anchor,
            class_=f"date {anchor}",
        )


def _joints(marks: Sequence[Mark], down: Callable[[float], float]) -> Iterator[Markup]:
    """A line from each measured value to the next; of ranges along the upper ends."""
    known = [(_place(at, len(marks)), mark.value) for at, mark in enumerate(marks) if mark.value is not None]
    for (x1, one), (x2, other) in pairwise(known):
        yield element("line", x1=percent(x1), x2=percent(x2), y1=round(down(one.upper), 1),
                      y2=round(down(other.upper), 1), class_="joint")  # fmt: skip


def _drawn(marks: Sequence[Mark], down: Callable[[float], float]) -> Iterator[Markup]:
    changes = 0
    for at, mark in enumerate(marks):
        place = _place(at, len(marks))
        if mark.change:
            yield from _changed(mark, place, _TOLD[changes % 2])
            changes += 1
        if mark.value is not None:
            yield from _measured(mark, mark.value, percent(place), down)


def _changed(mark: Mark, place: float, y: int) -> Iterator[Markup]:
    x, style = percent(place), f"changed {mark.change}"
    anchor = "start" if place < 0.12 else "end" if place > 0.88 else "middle"
    yield element("line", x1=x, x2=x, y1=y + 5, y2=_HEIGHT - _BOTTOM, class_=style)
    yield element("text", f"{_SIGNS[mark.change]} {mark.share}", x=x, y=y, class_=style, text_anchor=anchor)


def _measured(mark: Mark, value: Range, x: str, down: Callable[[float], float]) -> Iterator[Markup]:
    """The mark, over its range and the extent of its repeats. Its title is read on hover; the table has the same links."""
    for span, style in ((mark.extent, "extent"), (value, "span")):
        if span is not None and span.lower != span.upper:
            ends = (round(down(end), 1) for end in (span.lower, span.upper))
            yield element("line", x1=x, x2=x, **dict(zip(("y1", "y2"), ends, strict=True)), class_=style)
    form = element("path", d=_FORMS[mark.trust], class_=f"mark-{mark.trust}")
    at_value = element("svg", form, x=x, y=round(down(value.upper), 1), overflow="visible")
    yield element("a", element("title", mark.title), at_value, href=mark.place, tabindex="-1")
