"""Whether a device keeps its pace: what a sustained run's windows say (measuring.md section 9). Pure.

A change is looked for in the windows' medians, what it comes from in what was read beside them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import sqrt
from random import Random
from statistics import median

from dynolab.errors import Bug
from dynolab.measure.time_range import CALM_DELAY_SHARE, CALM_SLOWDOWN, LEAST_WIDTH, SHARED_WIDTH, reference_name
from dynolab.spec.measurements import Notice, SustainedWindow
from dynolab.spec.profiles import SlowdownCause, Sustained, SustainedPart, Trust, Verdict
from dynolab.spec.show import show_share, show_time

SLOWER = 0.05
"""A change of the pace by less is none: undisturbed windows of one process stay within 2 %."""
SHARED_SLOWER = SHARED_WIDTH
"""The same on a virtual machine or in a container, whose pace changes by as much from minute to minute."""
CRITICAL_Z = 4.0
"""Of the largest standardised rank sum over all places of a change: without one it is exceeded with a probability below 1 % for 40 to
1,200 windows (Miller and Siegmund, Maximally selected chi square statistics, Biometrics 38, 1982)."""
LEAST_PART = 5
"""Windows on each side of a change."""
LEAST_WINDOWS = 20
"""With fewer nothing is said of a change."""
FIRST_NS = 60_000_000_000
FIRST_SHARE = 0.25
"""The beginning that the steady state is held against: the first minute, of a shorter run this share."""
CLOCK_FELL = 0.05
"""Of the clock, as a share: governors take smaller steps for other reasons than heat."""
OTHERS_CORES = 0.25
"""Cores that others use more than before, from which on they may be why."""
EXPLAINS = 0.5
"""Share of the lost pace from which waiting for a CPU explains it."""
DISTURBED_MOST = 0.1
"""Windows that something disturbed, as a share, above which the figures are noisy."""
RESAMPLES, SEED = 1000, 20250
NOMINAL = "a part of a larger machine tells a nominal clock, which never changes"


@dataclass(frozen=True, slots=True)
class Around:
    """What the rules must know besides the windows."""

    asked_s: float
    best: Mapping[str, float]
    """The reference kernel's best times, by name."""
    is_shared: bool
    """Whether the device is a part of a larger machine: it tells no true clock then, and its pace changes more."""
    inference_ns: int | None = None
    """The inference stage's minimum: the device's pace before."""
    unavailable: Mapping[str, str] | None = None


def judge(windows: Sequence[SustainedWindow], around: Around) -> Sustained:
    """The finding of a run that left windows, one at least."""
    if not windows:
        raise Bug("a sustained run left no windows")
    unavailable = dict(around.unavailable or {})
    if around.is_shared:
        windows = [replace(one, clock_hz=None) for one in windows]
        unavailable.setdefault("clock", NOMINAL)
    slower = SHARED_SLOWER if around.is_shared else SLOWER
    change = find_slowdown([one.median_ns for one in windows], slower)
    first, steady = _parts(windows, change)
    ratio = _ratio(first, steady)
    lower, upper = _ratio_range(first, steady, SHARED_WIDTH if around.is_shared else LEAST_WIDTH)
    cause = None if change is None else _cause(windows[:change], windows[change:])
    slowed_after_ns = None if change is None else windows[change].at_ns
    return Sustained(
        asked_s=around.asked_s,
        wall_ns=windows[-1].at_ns + windows[-1].wall_ns,
        windows=tuple(windows),
        first=_part(first),
        steady=_part(steady),
        ratio=ratio,
        ratio_lower=lower,
        ratio_upper=upper,
        slowed_after_ns=slowed_after_ns,
        cause=cause,
        explanation=_explanation(windows, slowed_after_ns, cause),
        verdict=_verdict(windows, cause, around),
        unavailable=unavailable,
    )


def notices(found: Sustained | None) -> list[Notice]:
    """A warning where the device did not keep its pace: the figures of the stages are those of its beginning."""
    if found is None or found.slowed_after_ns is None:
        return []
    return [Notice("warning", "sustained-slower", found.explanation)]


def find_slowdown(medians_ns: Sequence[int], slower: float) -> int | None:
    """The index of the first window after the pace fell for good; None: it did not, or so few windows do not tell.

    Whether there is a change, a rank test tells over all places (Lausen and Schumacher, Maximally selected rank statistics,
    Biometrics 48, 1992): the largest standardised sum has to pass :data:`CRITICAL_Z`. Where it is, least absolute deviations
    from the two sides' medians tell (Bai, Least absolute deviation estimation of a shift, Econometric Theory 11, 1995). It
    counts where the median after it is ``slower`` by that share than the one before, and so is the run's last quarter: a spell
    that ends is none.
    """
    count = len(medians_ns)
    if count < LEAST_WINDOWS or _largest_z(medians_ns) < CRITICAL_Z:
        return None
    places = range(LEAST_PART, count - LEAST_PART + 1)
    place = min(places, key=lambda index: _deviations(medians_ns[:index]) + _deviations(medians_ns[index:]))
    before, after, last = (
        median(part) for part in (medians_ns[:place], medians_ns[place:], medians_ns[-(count // 4) :])
    )
    return place if min(after, last) >= (1 + slower) * before else None


def _largest_z(values: Sequence[int]) -> float:
    """The largest standardised rank sum in favour of what comes later, over all places of a change."""
    count, ranks, total, largest = len(values), _ranks(values), 0.0, 0.0
    for index in range(1, count - LEAST_PART + 1):
        total += ranks[index - 1]
        if index >= LEAST_PART:
            spread = sqrt(index * (count - index) * (count + 1) / 12)
            largest = max(largest, (index * (count + 1) / 2 - total) / spread)
    return largest


def _deviations(values: Sequence[int]) -> float:
    """The sum of absolute deviations from the median: of the upper half less that of the lower."""
    ordered = sorted(values)
    half = len(ordered) // 2
    return sum(ordered[len(ordered) - half :]) - sum(ordered[:half])


def _ranks(values: Sequence[int]) -> list[float]:
    """Ranks from 1, of equal values their mean."""
    order = sorted(range(len(values)), key=lambda index: values[index])
    found = [0.0] * len(values)
    begin = 0
    while begin < len(order):
        end = begin
        while end < len(order) and values[order[end]] == values[order[begin]]:
            end += 1
        for place in order[begin:end]:
            found[place] = (begin + end + 1) / 2
        begin = end
    return found


def _parts(
    windows: Sequence[SustainedWindow], change: int | None
) -> tuple[Sequence[SustainedWindow], Sequence[SustainedWindow]]:
    """The beginning, and the steady state."""
    length_ns = windows[-1].at_ns + windows[-1].wall_ns
    until_ns = min(FIRST_NS, int(FIRST_SHARE * length_ns))
    first = [one for one in windows[:change] if one.at_ns < until_ns] or windows[:1]
    after = windows[change or 0 :]
    return first, after[len(after) // 2 :]


def _part(windows: Sequence[SustainedWindow]) -> SustainedPart:
    return SustainedPart(
        begins_ns=windows[0].at_ns,
        ends_ns=windows[-1].at_ns + windows[-1].wall_ns,
        windows=len(windows),
        iterations=sum(one.count for one in windows),
        minimum_ns=min(one.minimum_ns for one in windows),
        median_ns=int(median(one.median_ns for one in windows)),
        clock_hz=_middle(windows, lambda one: one.clock_hz),
        celsius=_middle(windows, lambda one: one.celsius),
    )


def _middle(windows: Sequence[SustainedWindow], get: Callable[[SustainedWindow], float | None]) -> float | None:
    """The median of what a reading told in these windows; None where it told nothing."""
    known = [value for one in windows if (value := get(one)) is not None]
    return float(median(known)) if known else None


# ---- how much slower ------------------------------------------------------------------------------------------------


def _ratio(first: Sequence[SustainedWindow], steady: Sequence[SustainedWindow]) -> float:
    return median(one.median_ns for one in steady) / max(1, median(one.median_ns for one in first))


def _ratio_range(
    first: Sequence[SustainedWindow], steady: Sequence[SustainedWindow], width: float
) -> tuple[float, float]:
    """The ratio's 95 % interval over resampled windows, and beyond that what no witness of this device sees.

    Blocks of windows in a row are drawn, since neighbours are alike (Kuensch, The jackknife and the bootstrap for general
    stationary observations, Annals of Statistics 17, 1989); their length is the cube root of the count (Hall, Horowitz and
    Jing, On blocking rules for the bootstrap with dependent data, Biometrika 82, 1995).
    """
    random = Random(SEED)
    sides = [[one.median_ns for one in part] for part in (first, steady)]
    drawn = sorted(
        median(_resampled(sides[1], random)) / max(1, median(_resampled(sides[0], random))) for _ in range(RESAMPLES)
    )
    lower, upper = drawn[int(0.025 * RESAMPLES)], drawn[int(0.975 * RESAMPLES)]
    return lower / (1 + width), upper * (1 + width)


def _resampled(values: Sequence[int], random: Random) -> list[int]:
    """As many values, in blocks of neighbours."""
    length = max(1, round(len(values) ** (1 / 3)))
    found: list[int] = []
    while len(found) < len(values):
        begin = random.randrange(len(values) - length + 1)
        found += values[begin : begin + length]
    return found[: len(values)]


# ---- what it comes from -----------------------------------------------------------------------------------------------


def _cause(before: Sequence[SustainedWindow], after: Sequence[SustainedWindow]) -> SlowdownCause:
    """The first that explains it: who took the CPU away, what the device says of itself, who else is on the machine."""
    first_ns, last_ns = (_middle(part, lambda one: one.kernel_ns) for part in (before, after))
    is_slower_cpu = first_ns is not None and last_ns is not None and last_ns >= CALM_SLOWDOWN * first_ns
    lost = 1 - 1 / max(1.0, _ratio(before, after))
    if _waited_share(after) - _waited_share(before) >= EXPLAINS * lost:
        return SlowdownCause.WAITING
    if _was_throttled(before, after):
        return SlowdownCause.THROTTLING
    if _others_cores(after) - _others_cores(before) >= OTHERS_CORES:
        return SlowdownCause.OTHER_LOAD
    if not is_slower_cpu:
        return SlowdownCause.UNEXPLAINED
    return SlowdownCause.NEIGHBOUR if _clocks(before, after) else SlowdownCause.SLOWER_CPU


def _was_throttled(before: Sequence[SustainedWindow], after: Sequence[SustainedWindow]) -> bool:
    """Whether the device tells that it slowed itself down: by its clock, for heat, or for want of power."""
    clocks = _clocks(before, after)
    fell = clocks is not None and clocks[1] <= (1 - CLOCK_FELL) * clocks[0]
    held = [_middle(part, lambda one: one.held_back) for part in (before, after)]
    rose = (held[1] or 0.0) > (held[0] or 0.0)
    rates = [sum(one.throttle_events or 0 for one in part) / len(part) for part in (before, after)]
    return fell or rose or rates[1] > rates[0]


def _clocks(before: Sequence[SustainedWindow], after: Sequence[SustainedWindow]) -> tuple[float, float] | None:
    """The clock on both sides; None where it is not told."""
    found = [_middle(part, lambda one: one.clock_hz) for part in (before, after)]
    return None if found[0] is None or found[1] is None else (found[0], found[1])


def _waited_share(windows: Sequence[SustainedWindow]) -> float:
    """Of the time, what threads waited for a CPU, by the scheduler, a quota or the hypervisor."""
    waited = sum(_waited_ns(one) for one in windows)
    return waited / max(1, sum(one.wall_ns for one in windows))


def _waited_ns(window: SustainedWindow) -> int:
    return max(window.delay_ns or 0, window.throttled_ns or 0, window.stolen_ns or 0)


def _others_cores(windows: Sequence[SustainedWindow]) -> float:
    """Cores that others used, on average."""
    return sum(one.others_ns or 0 for one in windows) / max(1, sum(one.wall_ns for one in windows))


# ---- in words -----------------------------------------------------------------------------------------------------------

_WORDS = {
    SlowdownCause.THROTTLING: "the device throttled: it says so itself",
    SlowdownCause.WAITING: "its threads waited for a CPU that others had: this is no throttling",
    SlowdownCause.OTHER_LOAD: "other processes of this machine used more of it from then on: this is no throttling that can be told",
    SlowdownCause.NEIGHBOUR: "the CPU was slower at the same clock, as with a busy neighbour on the same core",
    SlowdownCause.SLOWER_CPU: "the CPU was slower, and this device does not tell its clock: throttling, or a busy neighbour",
    SlowdownCause.UNEXPLAINED: "the CPU was as fast as before: the model itself, its memory, or an accelerator",
}


def _explanation(windows: Sequence[SustainedWindow], slowed_after_ns: int | None, cause: SlowdownCause | None) -> str:
    length = show_time(windows[-1].at_ns + windows[-1].wall_ns)
    if slowed_after_ns is not None and cause is not None:
        return f"slower after {show_time(slowed_after_ns)}: {_WORDS[cause]}"
    if len(windows) < LEAST_WINDOWS:
        return f"{len(windows)} windows within {length} do not tell whether it got slower"
    return f"no throttling seen within {length}"


def _verdict(windows: Sequence[SustainedWindow], cause: SlowdownCause | None, around: Around) -> Verdict:
    """Noisy where much of the run was disturbed, or the device was slower already when it began."""
    waited = sum(_waited_ns(one) > CALM_DELAY_SHARE * one.wall_ns for one in windows) / len(windows)
    slow = sum(_is_slow(one, around.best) for one in windows) / len(windows)
    begun_ns = min(one.minimum_ns for one in windows[: max(1, len(windows) // 10)])
    late = None if around.inference_ns is None else begun_ns / max(1, around.inference_ns)
    slower = SHARED_SLOWER if around.is_shared else SLOWER
    reasons = []
    if waited > DISTURBED_MOST:
        reasons.append(f"threads waited for a CPU in {show_share(waited)} of the windows")
    if slow > DISTURBED_MOST and cause is not SlowdownCause.THROTTLING:
        reasons.append(
            f"the CPU ran below its best speed in {show_share(slow)} of the windows, as with a busy neighbour or a lower clock"
        )
    if late is not None and late > 1 + slower:
        reasons.append(
            f"the device was {show_share(late - 1)} slower already when it began than in the inference stage"
        )
    if len(windows) < LEAST_WINDOWS:
        reasons.append(f"{len(windows)} windows are few: a longer run has more")
    readings = {"waited_windows": waited, "slow_windows": slow, "begun_slower": None if late is None else late - 1}
    return Verdict(Trust.NOISY if reasons else Trust.CLEAN, tuple(reasons), readings)


def _is_slow(window: SustainedWindow, best: Mapping[str, float]) -> bool:
    """Whether the reference kernel was slower than the device's best."""
    reference_ns = best.get(reference_name(window.kernel_threads, window.core))
    return bool(window.kernel_ns and reference_ns and window.kernel_ns > CALM_SLOWDOWN * reference_ns)
