"""A figure of a board's probes over days as a small picture: its course, its band, and single probes that were out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise

from markupsafe import Markup

from dynolab.report.html.iterations import time_ticks
from dynolab.report.html.svg import element, linear, percent, picture
from dynolab.spec.show import show_time

_HEIGHT, _TOP, _BOTTOM = 130, 8, 24
_ROOM = 0.1
"""Of the scale, above and below what is drawn."""
_APART = 0.0005
"""Of the width: a line to what lies nearer is no line."""


@dataclass(frozen=True, slots=True)
class ProbeMark:
    """A probe, or the median of several, in ns; ``verdict`` is ``slow``, ``disturbed`` or another word: in the band."""

    at: datetime
    ns: float
    verdict: str = ""


@dataclass(frozen=True, slots=True)
class ProbeChart:
    """The scale's figures, and the picture right of them."""

    levels: Markup
    picture: Markup


def probe_chart(
    course: Sequence[ProbeMark], marks: Sequence[ProbeMark], *, band: tuple[float, float] | None, label: str
) -> ProbeChart | None:
    """By real time from left to right; ``band`` is the middle and the upper end, in ns. None where there is nothing to draw."""
    drawn = sorted((*course, *marks), key=lambda one: one.at)
    if not drawn:
        return None
    values = [*(one.ns for one in drawn), *(band or ())]
    room = _ROOM * (max(values) - min(values)) or 0.05 * max(values)
    low, high = max(0.0, min(values) - room), max(values) + room
    down = linear(low, high, _HEIGHT - _BOTTOM, _TOP)
    across = linear(drawn[0].at.timestamp(), drawn[-1].at.timestamp(), 0.01, 0.99)
    ticks = time_ticks(low, high)
    levels = (element("text", text, x="100%", y=round(down(tick) + 4, 1), text_anchor="end") for tick, text in ticks)
    parts = [
        *_band(band, down),
        *_rules([tick for tick, _ in ticks], down),
        *_line(course, across, down),
        *(_mark(one, across, down) for one in marks),
        *_dates(drawn[0].at, drawn[-1].at),
    ]
    shown = element("svg", *parts, aria_hidden="true", width="100%", height=_HEIGHT, class_="trend")
    return ProbeChart(picture(_HEIGHT, levels, label=label), shown)


def _band(band: tuple[float, float] | None, down: Callable[[float], float]) -> Iterator[Markup]:
    """From the bottom to its upper end, since what is faster is well; and its middle."""
    if band is None:
        return
    middle, upper = (round(down(end), 1) for end in band)
    yield element("rect", x=0, y=upper, width="100%", height=round(_HEIGHT - _BOTTOM - upper, 1), class_="band")
    yield element("line", x1=0, x2="100%", y1=middle, y2=middle, class_="middle")


def _rules(ticks: Sequence[float], down: Callable[[float], float]) -> Iterator[Markup]:
    for tick in ticks:
        y = round(down(tick), 1)
        yield element("line", x1=0, x2="100%", y1=y, y2=y, class_="rule")


def _line(
    course: Sequence[ProbeMark], across: Callable[[float], float], down: Callable[[float], float]
) -> Iterator[Markup]:
    if len(course) == 1:
        at, y = percent(across(course[0].at.timestamp())), round(down(course[0].ns), 1)
        yield element("circle", cx=at, cy=y, r=2.5, class_="mark-clean")
    for one, later in pairwise(course):
        x1, x2 = (across(each.at.timestamp()) for each in (one, later))
        if x2 - x1 >= _APART:
            y1, y2 = (round(down(each.ns), 1) for each in (one, later))
            yield element("line", x1=percent(x1), x2=percent(x2), y1=y1, y2=y2, class_="course")


def _mark(one: ProbeMark, across: Callable[[float], float], down: Callable[[float], float]) -> Markup:
    """A cross for a slow probe, a hollow diamond for one that others disturbed. Its title is read on hover."""
    form, style = ("M-4-4L4 4M-4 4L4-4", "invalid") if one.verdict == "slow" else ("M0-5L5 0L0 5L-5 0Z", "noisy")
    title = element("title", f"{show_time(one.ns)}, {one.at:%Y-%m-%d %H:%M}")
    path = element("path", title, d=form, class_=f"mark-{style}")
    return element("svg", path, x=percent(across(one.at.timestamp())), y=round(down(one.ns), 1), overflow="visible")


def _dates(first: datetime, last: datetime) -> Iterator[Markup]:
    days = (last - first).days > 1
    for at, x, anchor in ((first, 0.0, "start"), (last, 1.0, "end")):
        if anchor == "start" or at != first:
            text = at.strftime("%Y-%m-%d" if days else "%m-%d %H:%M")
            yield element("text", text, x=percent(x), y=_HEIGHT - 6, text_anchor=anchor, class_="date")
