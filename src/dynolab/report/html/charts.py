"""The bars of the HTML report: memory ranges, shares of compute units, loads."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dynolab.report.base import Say, plainly, stage_title
from dynolab.report.html.svg import element, nice_ticks, percent, picture
from dynolab.spec.facts import UnitTotal
from dynolab.spec.measurements import Range
from dynolab.spec.profiles import MemorySummary, Profile, Stage
from dynolab.spec.show import show_bytes, show_range, show_share, show_time

# ---- memory ---------------------------------------------------------------------------------------------------------

_BAR, _BAR_HEIGHT, _THIN = 22, 14, 8
BELOW_RESOLUTION = "below resolution"
"""Said beside a range of which nothing reaches what the kernel's counters may hide."""


@dataclass(frozen=True, slots=True)
class MemoryRow:
    """One bar with its words: the stage's title at its first row, what is shown, the definition's anchor, the figure."""

    group: str
    title: str
    anchor: str
    bar: Markup
    figure: str
    note: str | None = None


@dataclass(frozen=True, slots=True)
class MemoryChart:
    """Rows of bars on one common scale, and the scale itself."""

    rows: list[MemoryRow]
    axis: Markup
    kinds: list[str]
    """The kinds of memory that occur in it."""


def memory_chart(profile: Profile, say: Say = plainly) -> MemoryChart | None:
    """Peak, increase and split of every stage that was measured, and the whole process; None when nothing was."""
    stages = [(stage, stage.memory) for stage in profile.stages if stage.memory is not None]
    total, imported = profile.process_total_peak, profile.runtime_import
    tops = [memory.spread.peak_upper.upper for _, memory in stages] + [memory.peak.upper for _, memory in stages]
    tops += [total.upper] if total is not None else []
    top = max(tops, default=0)
    if top <= 0:
        return None
    scale = _Scale(top, max((memory.resolution_bytes for _, memory in stages), default=0), say)
    rows = [row for stage, memory in stages for row in _stage_rows(stage, memory, scale)]
    if imported is not None and imported.memory is not None:
        rows.append(_range_row("Runtime import", "increase", "runtime_import", imported.memory, None, scale))
    if total is not None:
        rows.append(_range_row("Whole process", "peak", "process_total", total, None, scale))
    grown = [_grown(memory) for _, memory in stages if memory.runs]
    return MemoryChart(
        rows, _memory_axis(top, say), [kind for kind, _ in _KINDS if any(sizes[kind] for sizes in grown)]
    )


@dataclass(frozen=True, slots=True)
class _Scale:
    """The bytes at the right end, and those below which a range says nothing; what words beside it are said by."""

    top: int
    resolution: int
    say: Say = plainly


def _stage_rows(stage: Stage, memory: MemorySummary, scale: _Scale) -> Iterator[MemoryRow]:
    spread = memory.spread
    yield _range_row(stage_title(stage), "peak", "peak", memory.peak, (spread.peak_lower, spread.peak_upper), scale)
    ends = (spread.increase_lower, spread.increase_upper)
    yield _range_row("", "increase", "increase", memory.increase, ends, scale)
    if memory.runs:
        yield _split_row(memory, scale)


def _range_row(
    group: str, title: str, anchor: str, range_: Range, ends: tuple[Range, Range] | None, scale: _Scale
) -> MemoryRow:
    bar = _range_bar(range_, ends, scale, scale.say(group or title))
    note = BELOW_RESOLUTION if range_.upper < scale.resolution else None
    return MemoryRow(group, title, anchor, bar, show_range(range_, "–"), note)


def _range_bar(range_: Range, ends: tuple[Range, Range] | None, scale: _Scale, name: str) -> Markup:
    """A solid bar up to the lower end, a hatched one up to the upper, whiskers for the spread of each end."""
    top = scale.top
    lower, upper = percent(range_.lower / top), percent((range_.upper - range_.lower) / top)
    parts = [
        element("rect", x=0, y=4, width=lower, height=_BAR_HEIGHT, class_="held"),
        element("rect", x=lower, y=4, width=upper, height=_BAR_HEIGHT, class_="may"),
        element("rect", x=lower, y=4, width=upper, height=_BAR_HEIGHT, fill="url(#hatch)"),
    ]
    for end in ends or ():
        parts += _whisker(end, top)
    spread = "" if ends is None else scale.say("; spread of the upper end {range}", range=show_range(ends[1], "–"))
    return picture(_BAR, parts, label=f"{name}: {show_range(range_, '–')}{spread}")


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


def _split_row(memory: MemorySummary, scale: _Scale) -> MemoryRow:
    """What the stage's end holds more than its start, by kind, in the middle run of the repeats."""
    grown, top, say = _grown(memory), scale.top, scale.say
    parts, at = [], 0
    for kind, size in grown.items():
        rect = element("rect", element("title", f"{say(kind)} {show_bytes(size)}"), x=percent(at / top), y=4,
                       width=percent(size / top), height=_THIN, class_=f"kind-{kind}")  # fmt: skip
        parts += [rect] if size else []
        at += size
    words = ", ".join(f"{say(kind)} {show_bytes(size)}" for kind, size in grown.items() if size) or say("nothing")
    return MemoryRow("", "at the end", "split", picture(16, parts, label=f"{say('at the end')}: {words}"), words)


def _grown(memory: MemorySummary) -> dict[str, int]:
    """Bytes by kind that the end of the middle run holds more than its start."""
    run = sorted(memory.runs, key=lambda run: run.increase_raw.upper)[len(memory.runs) // 2]
    return {kind: max(getattr(run.end, field) - getattr(run.start, field), 0) for kind, field in _KINDS}


def _memory_axis(top: int, say: Say) -> Markup:
    parts = []
    for tick in nice_ticks(0, top, 5):
        at, anchor = percent(tick / top), "start" if tick == 0 else "end" if tick > 0.94 * top else "middle"
        parts.append(element("line", x1=at, x2=at, y1=0, y2=5, class_="tick"))
        parts.append(element("text", f"{tick / 1e6:,g} MB" if tick else "0", x=at, y=18, text_anchor=anchor))
    return picture(22, parts, label=say("scale from 0 to {top}", top=show_bytes(top)), class_="axis")


# ---- compute units --------------------------------------------------------------------------------------------------


def unit_bar(totals: Sequence[UnitTotal], *, by: str, say: Say = plainly) -> Markup:
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
    what = say("share of time") if by == "time" else say("share of layers")
    return picture(18, parts, label=f"{what}: {said}", class_="units")


def time_bar(ns: int, ends: tuple[int, int], longest: int, *, label: str) -> Markup:
    """A time as a bar on a scale that others share, with a whisker from the fastest to the slowest run."""
    parts = [element("rect", x=0, y=4, width=percent(ns / longest), height=_BAR_HEIGHT, class_="held")]
    return picture(_BAR, [*parts, *_whisker(Range(*ends), longest)], label=label)


def range_bar(range_: Range, ends: tuple[Range, Range], top: int, *, label: str, say: Say = plainly) -> Markup:
    """A range of memory as a bar on a scale that others share, with the spread of each end."""
    return _range_bar(range_, ends, _Scale(top, 0, say), label)


def load_bar(ns: int, longest: int, kind: str) -> Markup:
    """One time as a bar relative to the longest."""
    rect = element("rect", x=0, y=3, width=percent(ns / longest), height=12, class_=f"load {kind}")
    return picture(18, [rect], label=show_time(ns))
