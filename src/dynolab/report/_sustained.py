"""A sustained run in words and in one line of blocks, for reports of text."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from statistics import median

from dynolab.spec.profiles import Sustained, SustainedPart
from dynolab.spec.show import show_change, show_time, show_time_range

WIDTH = 60
_BLOCKS = "▁▂▃▄▅▆▇█"


def sparkline(sustained: Sustained, width: int = WIDTH) -> str:
    """The windows' medians from left to right, the higher the slower; of many windows the median of some in a row.

    The scale begins at 0 where the slowest is twice the fastest and more, else a quarter below the fastest: what stays within some
    percent looks flat.
    """
    shown = _thinned([one.median_ns for one in sustained.windows], width)
    high = max(shown)
    low = 0.0 if high >= 2 * min(shown) else 0.75 * min(shown)
    step = max(high - low, 0.5 * high) / len(_BLOCKS)
    return "".join(_BLOCKS[min(len(_BLOCKS) - 1, int((value - low) / step))] for value in shown)


def _thinned(values: Sequence[int], most: int) -> list[float]:
    count = min(most, len(values))
    ends = [round(index * len(values) / count) for index in range(count + 1)]
    return [median(values[first:last]) for first, last in pairwise(ends)]


def rows(sustained: Sustained) -> list[tuple[str, str]]:
    """Titles and figures, the finding first."""
    medians = [one.median_ns for one in sustained.windows]
    return [
        ("Sustained", f"{show_time(sustained.wall_ns)}, {sum(one.count for one in sustained.windows):,} iterations"),
        ("Steady against first", show_change(sustained.ratio, sustained.ratio_lower, sustained.ratio_upper)),
        (_first_title(sustained), part_text(sustained.first)),
        ("Steady state", part_text(sustained.steady)),
        ("Medians of windows", show_time_range(min(medians), max(medians))),
        ("Time to throttle", throttle_text(sustained)),
    ]


def _first_title(sustained: Sustained) -> str:
    return f"First {show_time(sustained.first.ends_ns - sustained.first.begins_ns)}"


def part_text(part: SustainedPart) -> str:
    """Median, minimum, and the device's clock and temperature where it tells them."""
    told = [f"median {show_time(part.median_ns)}", f"minimum {show_time(part.minimum_ns)}"]
    told += [f"{part.clock_hz / 1e9:.2f} GHz"] if part.clock_hz is not None else []
    told += [f"{part.celsius:.0f} °C"] if part.celsius is not None else []
    return ", ".join(told)


def throttle_text(sustained: Sustained) -> str:
    """When it throttled, or why no time is told."""
    if sustained.throttled_after_ns is not None:
        return show_time(sustained.throttled_after_ns)
    return sustained.explanation
