"""The charts of the HTML report: memory ranges, the iterations in order and as a histogram, shares of units."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from math import floor, log10

from markupsafe import Markup

from dynolab.report.base import stage_title
from dynolab.report.html.svg import element, linear, nice_ticks, percent, picture, quantile
from dynolab.spec.facts import UnitTotal
from dynolab.spec.measurements import Range
from dynolab.spec.profiles import MemoryRun, MemorySummary, Profile, Stage
from dynolab.spec.show import show_bytes, show_range, show_share, show_time

# ---- memory ---------------------------------------------------------------------------------------------------------

_BAR, _BAR_HEIGHT, _THIN = 22, 14, 8


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One bar with its words: the stage's title at its first row, what is shown, the definition's anchor, the figure."""

    group: str
    title: str
    anchor: str
    bar: Markup
    figure: str


@dataclass(frozen=True, slots=True)
class MemoryChart:
    """Rows of bars on one common scale, and the scale itself."""

    rows: list[MemoryRow]
    axis: Markup


def memory_chart(profile: Profile) -> MemoryChart | None:
    """Peak, increase and split of every stage that was measured, and the whole process; None when nothing was."""
    stages = [(stage, stage.memory) for stage in profile.stages if stage.memory is not None]
    total, imported = profile.process_total_peak, profile.runtime_import
    tops = [memory.spread.peak_upper.upper for _, memory in stages] + [memory.peak.upper for _, memory in stages]
    tops += [total.upper] if total is not None else []
    top = max(tops, default=0)
    if top <= 0:
        return None
    rows = [row for stage, memory in stages for row in _stage_rows(stage, memory, top)]
    if imported is not None and imported.memory is not None:
        rows.append(_range_row("Runtime import", "increase", "runtime_import", imported.memory, None, top))
    if total is not None:
        rows.append(_range_row("Whole process", "peak", "process_total", total, None, top))
    return MemoryChart(rows, _memory_axis(top))


def _stage_rows(stage: Stage, memory: MemorySummary, top: int) -> Iterator[MemoryRow]:
    spread = memory.spread
    yield _range_row(stage_title(stage), "peak", "peak", memory.peak, (spread.peak_lower, spread.peak_upper), top)
    ends = (spread.increase_lower, spread.increase_upper)
    yield _range_row("", "increase", "increase", memory.increase, ends, top)
    if memory.runs:
        yield _split_row(memory, top)


def _range_row(
    group: str, title: str, anchor: str, range_: Range, ends: tuple[Range, Range] | None, top: int
) -> MemoryRow:
    """A solid bar up to the lower end, a hatched one up to the upper, whiskers for the spread of each end."""
    lower, upper = percent(range_.lower / top), percent((range_.upper - range_.lower) / top)
    parts = [
        element("rect", x=0, y=4, width=lower, height=_BAR_HEIGHT, class_="held"),
        element("rect", x=lower, y=4, width=upper, height=_BAR_HEIGHT, class_="may"),
        element("rect", x=lower, y=4, width=upper, height=_BAR_HEIGHT, fill="url(#hatch)"),
    ]
    for end in ends or ():
        parts += _whisker(end, top)
    spread = "" if ends is None else f"; spread of the upper end {show_range(ends[1], '–')}"
    said = f"{group or title}: {show_range(range_, '–')}{spread}"
    return MemoryRow(group, title, anchor, picture(_BAR, parts, label=said), show_range(range_, "–"))


def _whisker(end: Range, top: int) -> list[Markup]:
    low, high = (percent(max(value, 0) / top) for value in (end.lower, end.upper))
    middle = 4 + _BAR_HEIGHT / 2
    return [
        element("line", x1=low, x2=high, y1=middle, y2=middle, class_="whisker"),
        *(element("line", x1=at, x2=at, y1=middle - 4, y2=middle + 4, class_="whisker") for at in (low, high)),
    ]


_KINDS = (
    ("anonymous", "anonymous_bytes"),
    ("file-backed", "file_bytes"),
    ("shared", "shared_bytes"),
    ("swap", "swap_bytes"),
)


def _split_row(memory: MemorySummary, top: int) -> MemoryRow:
    """What the stage's end holds more than its start, by kind, in the middle run of the repeats."""
    run = _middle(memory.runs)
    grown = {kind: max(getattr(run.end, field) - getattr(run.start, field), 0) for kind, field in _KINDS}
    parts, at = [], 0
    for kind, size in grown.items():
        rect = element("rect", element("title", f"{kind} {show_bytes(size)}"), x=percent(at / top), y=4,
                       width=percent(size / top), height=_THIN, class_=f"kind-{kind}")  # fmt: skip
        parts += [rect] if size else []
        at += size
    words = ", ".join(f"{kind} {show_bytes(size)}" for kind, size in grown.items() if size) or "nothing"
    return MemoryRow("", "at the end", "split", picture(16, parts, label=f"at the end: {words}"), words)


def _middle(runs: Sequence[MemoryRun]) -> MemoryRun:
    return sorted(runs, key=lambda run: run.increase_raw.upper)[len(runs) // 2]


def _memory_axis(top: int) -> Markup:
    parts = []
    for tick in nice_ticks(0, top, 5):
        at, anchor = percent(tick / top), "start" if tick == 0 else "end" if tick > 0.94 * top else "middle"
        parts.append(element("line", x1=at, x2=at, y1=0, y2=5, class_="tick"))
        parts.append(element("text", f"{tick / 1e6:,g} MB" if tick else "0", x=at, y=18, text_anchor=anchor))
    return picture(22, parts, label=f"scale from 0 to {show_bytes(top)}", class_="axis")


# ---- iterations -----------------------------------------------------------------------------------------------------

_HEIGHT, _TOP, _BOTTOM = 260, 26, 22
_MOST_POINTS = 1200  # above it neighbours are drawn together: a point per pixel tells no more
_BINS = 24
_GAP = 0.03


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
    note: str
    """What lies above the scale, in words; empty when nothing does."""


def iteration_charts(stage: Stage) -> IterationCharts | None:
    """The two charts; None when the stage was not timed."""
    runs = [run for run in stage.timing_runs if run.chosen and run.values_ns]
    if stage.time is None or not runs:
        return None
    values = sorted(ns for run in runs for ns in run.values_ns)
    warmups = [ns for run in runs for ns in run.warmup_ns]
    low, high = _limits(values, warmups)
    down = linear(low, high, _HEIGHT - _BOTTOM, _TOP)
    points, bounds = _placed([(run.warmup_ns, run.values_ns) for run in runs])
    parts = [*_bands([run.process for run in runs], bounds), *_grid(low, high, down)]
    for point in points if len(points) <= _MOST_POINTS else ():
        parts.append(_dot(point, down(point.ns), point.ns > high))
    if len(points) > _MOST_POINTS:
        parts += _bundles(points, down)
    lines = [("minimum", stage.time.minimum_ns, 13), ("median", stage.time.median_ns, -4)]
    parts += [_line(name, ns, down) for name, ns, _ in lines]
    marks = [mark for name, ns, below in lines for mark in (_line(name, ns, down), _name(name, ns, down, below))]
    said = f"{len(values)} iterations in {len(runs)} processes, {show_time(values[0])} to {show_time(values[-1])}"
    above = [ns for ns in [*values, *warmups] if ns > high]
    note = f"{len(above)} above the scale, up to {show_time(max(above))}" if above else ""
    return IterationCharts(
        levels=picture(_HEIGHT, _levels(low, high, down), label="scale"),
        sequence=picture(_HEIGHT, parts, label=said),
        marks=picture(_HEIGHT, marks, label="minimum and median"),
        histogram=_histogram(values, low, high),
        note=note,
    )


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


def _bands(processes: Sequence[int], bounds: Sequence[tuple[float, float]]) -> Iterator[Markup]:
    """A ground for each process, with its number where there is room for words."""
    for process, (start, end) in zip(processes, bounds, strict=True):
        yield element("rect", x=percent(start), width=percent(end - start), y=_TOP - 8, height=_HEIGHT - _BOTTOM - _TOP + 12,
                      class_="band")  # fmt: skip
        if len(bounds) <= 8:
            word = "process " if len(bounds) <= 4 else ""
            yield element("text", f"{word}{process}", x=percent((start + end) / 2), y=_HEIGHT - 5, text_anchor="middle")


def _grid(low: float, high: float, down: _Scale) -> Iterator[Markup]:
    for tick, _ in _time_ticks(low, high):
        y = round(down(tick), 1)
        yield element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid")


def _levels(low: float, high: float, down: _Scale) -> Iterator[Markup]:
    for tick, text in _time_ticks(low, high):
        yield element("text", text, x="100%", y=round(down(tick) + 4, 1), text_anchor="end")


def _time_ticks(low: float, high: float) -> list[tuple[float, str]]:
    """Round times within the scale, all in one unit and with the decimals that their distance needs."""
    ticks = nice_ticks(low, high, 4)
    scale, unit = next(
        pair for pair in ((10**9, "s"), (10**6, "ms"), (10**3, "µs"), (1, "ns")) if high >= pair[0] or pair[0] == 1
    )
    step = (ticks[1] - ticks[0]) / scale if len(ticks) > 1 else 1.0
    places = max(0, -floor(log10(step) + 1e-9))
    return [(tick, f"{tick / scale:,.{places}f} {unit}") for tick in ticks]


def _dot(point: _Point, y: float, above: bool) -> Markup:
    """A dot; hollow for warm-up, a triangle pointing up for a value above the scale. Its title is read on hover."""
    title = element("title", f"{'warm-up, ' if point.warm_up else ''}{show_time(point.ns)}")
    kind = "warm" if point.warm_up else "timed"
    if above:
        return element(
            "text", title, "▲", x=percent(point.at), y=_TOP - 9, text_anchor="middle", class_=f"above {kind}"
        )
    return element("circle", title, cx=percent(point.at), cy=round(y, 1), r=3, class_=kind)


def _bundles(points: Sequence[_Point], down: _Scale) -> Iterator[Markup]:
    """Neighbours drawn as one line from their smallest to their largest value."""
    size = -(-len(points) // (_MOST_POINTS // 2))
    for kind, wanted in (("warm", True), ("timed", False)):
        chosen = [point for point in points if point.warm_up is wanted]
        for start in range(0, len(chosen), size):
            some = chosen[start : start + size]
            ends = [round(down(end([point.ns for point in some])), 1) for end in (min, max)]
            at = percent(some[len(some) // 2].at)
            yield element("line", x1=at, x2=at, y1=ends[0] + 1.5, y2=ends[1] - 1.5, class_=f"bundle {kind}")


def _line(name: str, ns: int, down: _Scale) -> Markup:
    y = round(down(ns), 1)
    return element("line", x1="0", x2="100%", y1=y, y2=y, class_=f"mark {name}")


def _name(name: str, ns: int, down: _Scale, below: int) -> Markup:
    """A line's name and figure, its foot ``below`` pixels under the line."""
    return element("text", f"{name} {show_time(ns)}", x=4, y=round(down(ns) + below, 1), class_="mark")


def _histogram(values: Sequence[int], low: float, high: float) -> Markup:
    """Counts of the timed values lying on their side, on the sequence's scale."""
    down = linear(low, high, _HEIGHT - _BOTTOM, _TOP)
    counts = [0] * _BINS
    for ns in values:
        counts[min(int((min(ns, high) - low) / ((high - low) or 1) * _BINS), _BINS - 1)] += 1
    most, step = max(counts), (high - low) / _BINS
    parts = []
    for index, count in enumerate(counts):
        if count:
            top, bottom = down(low + (index + 1) * step), down(low + index * step)
            span = f"{show_time(low + index * step)} to {show_time(low + (index + 1) * step)}"
            said = element("title", f"{count} from {span}")
            parts.append(element("rect", said, x=0, y=round(top + 0.5, 1), width=percent(count / most * 0.94),
                                 height=round(bottom - top - 1, 1), class_="bin"))  # fmt: skip
    parts.append(element("text", f"most in one bin: {most}", x=0, y=_HEIGHT - 5, class_="bins"))
    return picture(_HEIGHT, parts, label="how the iterations are distributed over the same scale")


# ---- compute units --------------------------------------------------------------------------------------------------


def unit_bar(totals: Sequence[UnitTotal], *, by: str) -> Markup:
    """One stacked bar: the share of each unit by ``time`` or by ``layers``."""
    parts, at = [], 0.0
    for total in totals:
        share = total.time_share if by == "time" else total.layer_share
        text = f"{total.unit} {show_share(share)}"
        parts.append(element("rect", element("title", text), x=percent(at), y=0, width=percent(share), height=18,
                             class_=f"unit-{total.unit.lower()}"))  # fmt: skip
        if share > 0.12:
            parts.append(element("text", text, x=percent(at + 0.008), y=13, class_="inside"))
        at += share
    said = ", ".join(
        f"{total.unit} {show_share(total.time_share if by == 'time' else total.layer_share)}" for total in totals
    )
    return picture(18, parts, label=f"share of {by}: {said}", class_="units")


def load_bar(ns: int, longest: int, kind: str) -> Markup:
    """One time as a bar relative to the longest."""
    rect = element("rect", x=0, y=3, width=percent(ns / longest), height=12, class_=f"load {kind}")
    return picture(18, [rect], label=show_time(ns))
