"""The chart of a sustained run: each window from its minimum to its median over time, and what the device told beside it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from dynolab.report._sustained import part_text
from dynolab.report.base import Say, plainly
from dynolab.report.html.figures import Figure, figure
from dynolab.report.html.iterations import time_ticks
from dynolab.report.html.svg import element, linear, nice_ticks, percent, picture
from dynolab.report.html.tables import Badge
from dynolab.spec.measurements import SustainedWindow
from dynolab.spec.profiles import Profile, Sustained
from dynolab.spec.show import show_change, show_time

_HEIGHT, _TOP, _BOTTOM = 220, 14, 26
_TRACK_HEIGHT = 64
KEYS = (
    "sustained_slowdown",
    "sustained_first_time",
    "sustained_inference_time",
    "time_to_slowdown",
    "time_to_throttle",
)


@dataclass(frozen=True, slots=True)
class Track:
    """One reading over time: its title, its levels, the drawing."""

    title: str
    levels: Markup
    drawn: Markup


@dataclass(frozen=True, slots=True)
class SustainedView:
    """All that a page shows of a sustained run."""

    explanation: str
    badge: Badge
    reasons: tuple[str, ...]
    change: str
    levels: Markup
    curve: Markup
    tracks: list[Track]
    figures: list[Figure]
    parts: list[tuple[str, str]]
    rows: list[tuple[str, ...]]
    """Of the fold: of every window its start, iterations, minimum, median, waiting, clock and temperature."""
    unavailable: list[tuple[str, str]]


def sustained_view(profile: Profile, say: Say = plainly) -> SustainedView | None:
    """The view; None where there was no such run."""
    found = profile.sustained
    if found is None:
        return None
    low, high = _limits(found.windows)
    down = linear(low, high, _HEIGHT - _BOTTOM, _TOP)
    ticks = time_ticks(low, high)
    levels = [element("text", text, x="100%", y=round(down(tick) + 4, 1), text_anchor="end") for tick, text in ticks]
    return SustainedView(
        explanation=found.explanation,
        badge=Badge(found.verdict.trust.value),
        reasons=found.verdict.reasons,
        change=show_change(found.ratio, found.ratio_lower, found.ratio_upper),
        levels=picture(_HEIGHT, levels, label=say("scale")),
        curve=picture(_HEIGHT, _curve(found, [tick for tick, _ in ticks], down, say), label=_said(found, say)),
        tracks=list(_tracks(found, say)),
        figures=[figure(profile, key) for key in KEYS],
        parts=[("First part", part_text(found.first)), ("Steady state", part_text(found.steady))],
        rows=[_row(window) for window in found.windows],
        unavailable=list(found.unavailable.items()),
    )


def _said(found: Sustained, say: Say) -> str:
    least, most = (show_time(end(one.median_ns for one in found.windows)) for end in (min, max))
    return say(
        "{count} windows within {length}, medians {least} to {most}",
        count=len(found.windows), length=show_time(found.wall_ns), least=least, most=most,
    )  # fmt: skip


def _limits(windows: Sequence[SustainedWindow]) -> tuple[float, float]:
    """From 0: a curve that stays within some percent is to look flat."""
    return 0.0, max(one.median_ns for one in windows) * 1.08


def _curve(found: Sustained, ticks: Sequence[float], down: Callable[[float], float], say: Say) -> Iterator[Markup]:
    """Grid, windows, the place of the change, and the scale of time."""
    for tick in ticks:
        y = round(down(tick), 1)
        yield element("line", x1="0", x2="100%", y1=y, y2=y, class_="grid")
    width = percent(0.9 / len(found.windows))
    for window in found.windows:
        top, bottom = round(down(window.median_ns), 1), round(down(window.minimum_ns), 1)
        told = f"{show_time(window.at_ns)}: {show_time(window.median_ns)}"
        yield element("rect", element("title", told), x=percent(window.at_ns / max(1, found.wall_ns)), y=top - 1,
                      width=width, height=round(max(2.0, bottom - top + 2), 1), class_="load")  # fmt: skip
    if found.slowed_after_ns is not None:
        at = percent(found.slowed_after_ns / max(1, found.wall_ns))
        yield element("line", x1=at, x2=at, y1=_TOP - 8, y2=_HEIGHT - _BOTTOM, class_="mark median")
    for second in nice_ticks(0, found.wall_ns / 1e9, 4):
        share = second * 1e9 / max(1, found.wall_ns)
        anchor = "start" if second == 0 else "end" if share > 0.94 else "middle"
        yield element("text", f"{second:,g} s", x=percent(share), y=_HEIGHT - 8, text_anchor=anchor)
    del say  # titles are figures


def _tracks(found: Sustained, say: Say) -> Iterator[Track]:
    """Clock and temperature, where the device told them in two windows and more."""
    told: tuple[tuple[str, str, Callable[[SustainedWindow], float | None]], ...] = (
        ("Clock", "GHz", lambda one: None if one.clock_hz is None else one.clock_hz / 1e9),
        ("Temperature", "°C", lambda one: one.celsius),
    )
    for title, unit, get in told:
        values = [
            (one.at_ns / max(1, found.wall_ns), value) for one in found.windows if (value := get(one)) is not None
        ]
        if len(values) < 2:
            continue
        low, high = min(value for _, value in values), max(value for _, value in values)
        margin = max((high - low) * 0.2, high * 0.02)
        down = linear(low - margin, high + margin, _TRACK_HEIGHT - 4, 4)
        width = percent(1 / len(found.windows))
        parts = [
            element("rect", element("title", f"{value:.2f} {unit}"), x=percent(at), y=round(down(value) - 1, 1),
                    width=width, height=2, class_="load") for at, value in values
        ]  # fmt: skip
        ends = [(high, down(high) + 4), (low, down(low) + 4)] if high > low else [(high, down(high) + 4)]
        levels = [element("text", f"{value:.2f} {unit}" if unit == "GHz" else f"{value:.0f} {unit}", x="100%", y=round(y, 1),
                          text_anchor="end") for value, y in ends]  # fmt: skip
        label = f"{say(title)}: {low:.2f} – {high:.2f} {unit}"
        yield Track(
            title, picture(_TRACK_HEIGHT, levels, label=say("scale")), picture(_TRACK_HEIGHT, parts, label=label)
        )


def _row(window: SustainedWindow) -> tuple[str, ...]:
    waited = None if window.delay_ns is None else window.delay_ns / max(1, window.wall_ns)
    return (
        f"{window.at_ns / 1e9:.1f} s",
        f"{window.count:,}",
        show_time(window.minimum_ns),
        show_time(window.median_ns),
        "–" if waited is None else f"{100 * waited:.1f} %",
        "–" if window.kernel_ns is None else show_time(window.kernel_ns),
        "–" if window.clock_hz is None else f"{window.clock_hz / 1e9:.2f} GHz",
        "–" if window.celsius is None else f"{window.celsius:.0f} °C",
    )
