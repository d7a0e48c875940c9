"""How times, bytes, shares and counts are written for people. Each figure carries its unit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from dynolab.spec.measurements import Range

Kind = Literal["time_ns", "bytes", "range", "ratio", "count", "rate", "joules", "watts"]
"""``range`` is a pair of bytes, ``ratio`` a share of 1, ``rate`` a count per second."""
Value = int | float | Range

_TIME_UNITS = ((10**3, "µs"), (10**6, "ms"), (10**9, "s"))
_BYTE_UNITS = ((1, "B"), (10**3, "kB"), (10**6, "MB"), (10**9, "GB"))
TIMES_FROM = 2.0
"""A ratio that is read as so many times, and not as a percentage."""
_GB_FROM = 10**10  # below it a figure stays in MB, the unit that memory is compared in


def _digits(value: float) -> str:
    """At least three significant digits, thousands apart: ``5.61``, ``92.4``, ``163``, ``1,634``."""
    size = abs(value)
    return f"{value:,.{2 if size < 9.995 else 1 if size < 99.95 else 0}f}"


def show_times(ratio: float) -> str:
    """A large ratio: ``3.14``, ``21.1``, ``214``."""
    return f"{ratio:,.{2 if ratio < 10 else 1 if ratio < 100 else 0}f}"


def show_change(value: float, lower: float, upper: float) -> str:
    """A ratio as a change, with its interval: ``+3.2 % (+1.1 to +5.0 %)``, or ``x 3.14 (3.01 to 3.30)``."""
    if value >= TIMES_FROM:
        return f"x {show_times(value)} ({show_times(lower)} to {show_times(upper)})"
    middle, *ends = (f"{100 * (one - 1):+.1f}" for one in (value, lower, upper))
    return f"{middle} % ({ends[0]} to {ends[1]} %)"


def show_time(ns: float) -> str:
    """A duration in ns with three significant digits: ``92.4 ms``."""
    if abs(ns) < 999.5:
        return f"{ns:.0f} ns"
    scale, unit = next((known for known in _TIME_UNITS if abs(ns) / known[0] < 999.5), _TIME_UNITS[-1])
    return f"{_digits(ns / scale)} {unit}"


def show_time_range(lower_ns: float, upper_ns: float, dash: str = "-") -> str:
    """Both ends in the unit of the upper one, ``2.41 - 3.20 ms``; once when they read the same."""
    if upper_ns < 999.5:
        scale, unit = 1, "ns"
    else:
        scale, unit = next((known for known in _TIME_UNITS if upper_ns / known[0] < 999.5), _TIME_UNITS[-1])
    places = 0 if scale == 1 or upper_ns / scale >= 99.95 else 1 if upper_ns / scale >= 9.995 else 2
    lower, upper = (f"{ns / scale:,.{places}f}" for ns in (lower_ns, upper_ns))
    return f"{upper} {unit}" if lower == upper else f"{lower} {dash} {upper} {unit}"


def show_stepped(ns: float, step_ns: int | None) -> str:
    """A duration by a clock of coarse steps: what is below the step is not shown as nothing: ``< 1 µs``."""
    return f"< {show_time(step_ns).replace('.00', '')}" if step_ns and ns < step_ns else show_time(ns)


def _byte_unit(size: float) -> tuple[int, str]:
    if abs(size) >= _GB_FROM:
        return _BYTE_UNITS[3]
    if abs(size) >= 999_500:
        return _BYTE_UNITS[2]
    return _BYTE_UNITS[1] if abs(size) >= 1000 else _BYTE_UNITS[0]


def _decimals(size: float, scale: int) -> int:
    """Two below 10, one below 1000, none above; none for plain bytes."""
    shown = abs(size) / scale
    return 0 if scale == 1 or shown >= 999.95 else 1 if shown >= 9.995 else 2


def show_bytes(size: float) -> str:
    """Bytes in decimal units: ``512 B``, ``81.9 kB``, ``163.4 MB`` (MB = 10^6 bytes)."""
    scale, unit = _byte_unit(size)
    return f"{size / scale:,.{_decimals(size, scale)}f} {unit}"


def show_range(range_: Range, dash: str = "-") -> str:
    """Both ends as the upper one needs them, ``162.7 - 163.4 MB``; once when they read the same."""
    scale, unit = _byte_unit(range_.upper)
    places = _decimals(range_.upper, scale)
    upper = f"{range_.upper / scale:,.{places}f}"
    lower = f"{range_.lower / scale:,.{places}f}" if range_.lower else "0"
    return f"{upper} {unit}" if lower == upper else f"{lower} {dash} {upper} {unit}"


def show_range_change(old: Range, new: Range) -> str:
    """What either end grew or shrank by: ``+81.9 kB, +1.20 MB``; once when they read the same."""
    ends = [new.lower - old.lower, new.upper - old.upper]
    shown = [f"{'+' if end >= 0 else '-'}{show_bytes(abs(end))}" for end in ends]
    return "the same" if ends == [0, 0] else shown[0] if shown[0] == shown[1] else f"{shown[0]}, {shown[1]}"


def show_joules(joules: float, uncertainty: float | None = None) -> str:
    """An energy with three significant digits, ``12.3 mJ``, and what it may be off by in the same unit: ``12.3 ± 0.41 mJ``."""
    scale, unit = _si(joules, "J")
    return f"{_digits(joules / scale)}{_off_by(uncertainty, scale)} {unit}"


def show_watts(watts: float) -> str:
    """A power with three significant digits: ``4.21 W``, ``310 mW``."""
    scale, unit = _si(watts, "W")
    return f"{_digits(watts / scale)} {unit}"


def _off_by(uncertainty: float | None, scale: float) -> str:
    return "" if uncertainty is None else f" ± {_digits(uncertainty / scale)}"


def _si(value: float, unit: str) -> tuple[float, str]:
    for scale, prefix in ((1.0, ""), (1e-3, "m"), (1e-6, "µ")):
        if abs(value) >= 0.9995 * scale:
            return scale, prefix + unit
    return 1e-9, f"n{unit}"


def show_share(ratio: float) -> str:
    """A share in percent with one decimal: ``91.4 %``; what is small is not shown as nothing: ``<0.1 %``."""
    if 0 < abs(ratio) < 0.0005:
        return "<0.1 %"
    return f"{ratio * 100:.{0 if ratio in (0, 1) else 1}f} %"


def show_count(count: float) -> str:
    """A number with its thousands apart; from a million on in words: ``4.23 million``."""
    for scale, word in ((10**9, "billion"), (10**6, "million")):
        if abs(count) >= scale:
            return f"{_digits(count / scale)} {word}"
    return f"{count:,.0f}" if float(count).is_integer() else f"{count:,.2f}"


def show(kind: Kind, value: Value, dash: str = "-") -> str:
    """A value of one kind with its unit."""
    if isinstance(value, Range):
        return show_range(value, dash)
    if kind == "rate":
        return f"{_digits(value)} /s"
    shown = {
        "time_ns": show_time, "bytes": show_bytes, "range": show_bytes, "ratio": show_share, "count": show_count,
        "joules": show_joules, "watts": show_watts,
    }  # fmt: skip
    return shown[kind](value)


_READING_UNITS: Sequence[tuple[str, Callable[[float], str]]] = (
    ("_ns", show_time), ("_us", lambda v: show_time(v * 1e3)), ("_s", lambda v: show_time(v * 1e9)),
    ("_bytes", show_bytes), ("_share", show_share), ("_celsius", lambda v: f"{v:.1f} °C"),
    ("_hz", lambda v: f"{v / 1e9:.2f} GHz" if v >= 1e9 else f"{v / 1e6:.0f} MHz"), ("_joules", lambda v: f"{_digits(v)} J"),
    ("_watts", show_watts),
)  # fmt: skip


def show_reading(name: str, value: float) -> str:
    """One witness's value, with the unit that its name ends in (``_ns``, ``_bytes``, ``_celsius``, ...)."""
    for ending, shown in _READING_UNITS:
        if name.endswith(ending):
            return shown(value)
    return show_count(value)
