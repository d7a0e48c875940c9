"""The chart of a stage's iterations: each one in order, and how they are distributed, on one scale."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import floor, log10

from markupsafe import Markup

from dynolab.report.base import Say, plainly
from dynolab.report.html.svg import element, linear, nice_ticks, percent, picture, quantile
from dynolab.spec.profiles import Stage
from dynolab.spec.show import show_time

_HEIGHT, _TOP, _BOTTOM = 276, 26, 38
_MOST_POINTS = 1200  # above it neighbours are drawn together: a point per pixel tells no more
_BINS = 24
_GAP = 0.03
_NUMBERED = 8  # processes up to which there is room for their numbers


_Scale = Callable[[float], float]


@dataclass(frozen=True, slots=True)
class _Point:
    at: float
    ns: int
    warm_up: bool


@dataclass(frozen=True, slots=True)
class IterationCharts:
    """The chosen processes' iterations in order, and the histogram of the timed ones on the same scale."""

    levels: Markup
    """The scale's figures, left of the sequence."""
    sequence: Markup
    marks: Markup
    """The names of the lines for minimum and median, right of the sequence."""
    histogram: Markup
    lines: list[tuple[str, str]]
    """The same lines for a page too narrow for their names: name and figure."""
    processes: str
    """The processes that the grounds are numbered by; empty when they are too many for numbers."""
    most: int
    """Iterations of the longest bar of the histogram."""
    above: list[tuple[str, str]]
    """What lies above the scale: the style of its marks, and how many there are in words."""
    start: str | None
    """Where the scale begins, when that is not 0."""


def iteration_charts(stage: Stage, say: Say = plainly) -> IterationCharts | None:
    """The two charts; None when the stage was not timed."""
    runs = [run for run in stage.timing_runs if run.chosen and run.values_ns]
    if stage.time is None or not runs:
        return None
    values = sorted(ns for run in runs for ns in run.values_ns)
    warmups = [ns for run in runs for ns in run.warmup_ns]
    low, high = _limits(values, warmups)
    down = linear(low, high, _HEIGHT - _BOTTOM, _TOP)
    points, bounds = _placed([(run.warmup_ns, run.values_ns) for run in runs])
    parts = [*_bands([run.process for run in runs], bounds, say), *_grid(low, high, down)]
    for point in points if len(points) <= _MOST_POINTS else ():
        parts.append(_dot(point, down(point.ns), point.ns > high, say))
    if len(points) > _MOST_POINTS:
        parts += _bundles(points, down, high)
    parts.append(element("text", say("iteration →"), x="100%", y=_HEIGHT - 4, text_anchor="end"))
    lines = [("minimum", stage.time.minimum_ns, 13), ("median", stage.time.median_ns, -4)]
    parts += [_line(name, ns, down) for name, ns, _ in lines]
    marks = [mark for name, ns, below in lines for mark in (_line(name, ns, down), _name(say(name), ns, down, below))]
    said = say(
        "{count} iterations in {processes} processes, {least} to {most}",
        count=len(values), processes=len(runs), least=show_time(values[0]), most=show_time(values[-1]),
    )  # fmt: skip
    counts = _counts(values, low, high)
    return IterationCharts(
        levels=picture(_HEIGHT, _levels(low, high, down), label=say("scale")),
        sequence=picture(_HEIGHT, parts, label=said),
        marks=picture(_HEIGHT, marks, label=say("minimum and median")),
        histogram=_histogram(counts, low, high, say),
        lines=[(name, show_time(ns)) for name, ns, _ in lines],
        processes=", ".join(str(run.process) for run in runs) if len(runs) <= _NUMBERED else "",
        most=max(counts),
        above=[*_above("timed", values, high, say), *_above("warm", warmups, high, say)],
        start=show_time(low) if low > 0 else None,
    )


def _above(style: str, values: Sequence[int], high: float, say: Say) -> Iterator[tuple[str, str]]:
    """How many values lie above the scale, and up to where; nothing when none does."""
    found = [ns for ns in values if ns > high]
    if found:
        told = {"count": f"{len(found):,}", "most": show_time(max(found))}
        if style == "timed":
            yield style, say("{count} timed above the scale, up to {most}", **told)
        else:
            yield style, say("{count} of warm-up above the scale, up to {most}", **told)


def _limits(values: Sequence[int], warmups: Sequence[int]) -> tuple[float, float]:
    """The scale's ends: everything where it fits well, else most of the timed values; the rest is marked at the top."""
    middle, least = quantile(values, 0.5), min([*values, *warmups])
    most = max([*values, *warmups])
    high = most if most <= 1.6 * middle else max(quantile(values, 0.97) * 1.05, middle * 1.15)
    margin = (high - least) * 0.06 or high * 0.01 or 1.0
    return max(least - margin, 0), high + margin


def _placed(runs: Sequence[tuple[Sequence[int], Sequence[int]]]) -> tuple[list[_Point], list[tuple[float, float]]]:
    """Each value's place across (a share of the width), and where each process begins and ends."""
    count = sum(len(warmup) + len(values) for warmup, values in runs)
    room = 1 - _GAP * (len(runs) - 1) if len(runs) * _GAP < 0.5 else 1.0
    gap = (1 - room) / max(len(runs) - 1, 1)
    points, bounds, at = [], [], 0.0
    for warmup, values in runs:
        start = at
        for index, ns in enumerate([*warmup, *values]):
            points.append(_Point(at + 0.5 * room / count, ns, index < len(warmup)))
            at += room / count
        bounds.append((start, at))
        at += gap
    return points, bounds


def _bands(processes: Sequence[int], bounds: Sequence[tuple[float, float]], say: Say) -> Iterator[Markup]:
    """A ground for each process, with its number where there is room for words."""
    for process, (start, end) in zip(processes, bounds, strict=True):
        yield element("rect", x=percent(start), width=percent(end - start), y=_TOP - 8, height=_HEIGHT - _BOTTOM - _TOP + 12,
                      class_="band")  # fmt: skip
        if len(bounds) <= _NUMBERED:
            word = element("tspan", f"{say('process')} ", class_="wide") if len(bounds) <= 4 else ""
            x = percent((start + end) / 2)
            yield element("text", word, str(process), x=x, y=_HEIGHT - 21, text_anchor="middle")


def _grid(low: float, high: float, down: _Scale) -> Iterator[Markup]:
    for tick, _ in time_ticks(low, high):
        y = round(down(tick), 1)
        yield element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid")


def _levels(low: float, high: float, down: _Scale) -> Iterator[Markup]:
    for tick, text in time_ticks(low, high):
        yield element("text", text, x="100%", y=round(down(tick) + 4, 1), text_anchor="end")


def time_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round times within the scale, all in one unit and with the decimals that their distance needs."""
    ticks = nice_ticks(low, high, 4)
    scale, unit = next(
        pair for pair in ((10**9, "s"), (10**6, "ms"), (10**3, "µs"), (1, "ns")) if high >= pair[0] or pair[0] == 1
    )
    step = (ticks[1] - ticks[0]) / scale if len(ticks) > 1 else 1.0
    places = max(0, -floor(log10(step) + 1e-9))
    return [(tick, f"{tick / scale:,.{places}f} {unit}") for tick in ticks]


def _dot(point: _Point, y: float, above: bool, say: Say) -> Markup:
    """A dot; hollow for warm-up, a triangle pointing up for a value above the scale. Its title is read on hover."""
    title = element("title", f"{say('warm-up')}, {show_time(point.ns)}" if point.warm_up else show_time(point.ns))
    kind = "warm" if point.warm_up else "timed"
    if above:
        return _arrow(percent(point.at), kind, title)
    return element("circle", title, cx=percent(point.at), cy=round(y, 1), r=3, class_=kind)


def _arrow(at: str, kind: str, *title: Markup) -> Markup:
    return element("text", *title, "▲", x=at, y=_TOP - 9, text_anchor="middle", class_=f"above {kind}")


def _bundles(points: Sequence[_Point], down: _Scale, high: float) -> Iterator[Markup]:
    """Neighbours drawn as one line from their smallest to their largest value; an arrow where one is above the scale."""
    size = -(-len(points) // (_MOST_POINTS // 2))
    for kind, wanted in (("warm", True), ("timed", False)):
        chosen = [point for point in points if point.warm_up is wanted]
        for start in range(0, len(chosen), size):
            some = chosen[start : start + size]
            ends = [round(down(end([point.ns for point in some])), 1) for end in (min, max)]
            at = percent(some[len(some) // 2].at)
            if any(point.ns > high for point in some):
                yield _arrow(at, kind)
            yield element("line", x1=at, x2=at, y1=ends[0] + 1.5, y2=ends[1] - 1.5, class_=f"bundle {kind}")


def _line(name: str, ns: int, down: _Scale) -> Markup:
    y = round(down(ns), 1)
    return element("line", x1="0", x2="100%", y1=y, y2=y, class_=f"mark {name}")


def _name(name: str, ns: int, down: _Scale, below: int) -> Markup:
    """A line's name and figure, its foot ``below`` pixels under the line."""
    return element("text", f"{name} {show_time(ns)}", x=4, y=round(down(ns) + below, 1), class_="mark")


def _counts(values: Sequence[int], low: float, high: float) -> list[int]:
    """How many of the timed values fall into each bin of the scale; those above it are in the last."""
    counts = [0] * _BINS
    for ns in values:
        counts[min(int((min(ns, high) - low) / ((high - low) or 1) * _BINS), _BINS - 1)] += 1
    return counts


def _histogram(counts: Sequence[int], low: float, high: float, say: Say) -> Markup:
    """The counts as bars lying on their side, on the sequence's scale."""
    down = linear(low, high, _HEIGHT - _BOTTOM, _TOP)
    most, step = max(counts), (high - low) / _BINS
    parts = []
    for index, count in enumerate(counts):
        if count:
            top, bottom = down(low + (index + 1) * step), down(low + index * step)
            upper = say("above") if index == _BINS - 1 else show_time(low + (index + 1) * step)
            lower = show_time(low + index * step)
            said = element("title", say("{count} from {lower} to {upper}", count=count, lower=lower, upper=upper))
            parts.append(element("rect", said, x=0, y=round(top + 0.5, 1), width=percent(count / most * 0.94),
                                 height=round(bottom - top - 1, 1), class_="bin"))  # fmt: skip
    return picture(_HEIGHT, parts, label=say("how the iterations are distributed over the same scale"))
