"""Statistics of raw times and memory ends: pure functions on sequences of integers (measuring.md sections 2 and 3)."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import lru_cache
from itertools import chain
from math import ceil
from random import Random
from typing import TypeVar

from dynolab.errors import Bug
from dynolab.spec.measurements import Range
from dynolab.spec.profiles import Spread, TimeSummary

Number = TypeVar("Number", int, float)

P90_MIN_COUNT = 10
"""Below this the 90th percentile is the maximum under another name."""
P99_MIN_COUNT = 500
"""measuring.md section 2: five values then lie beyond the 99th percentile."""
INTERVAL_MIN_COUNT = 5
"""With 4 values even their whole range covers the median with only 1 - 2 * 0.5**4 = 87.5 % (sign-test interval)."""
RESAMPLES = 2000
"""Efron and Tibshirani (An Introduction to the Bootstrap, 1993, section 13.3) ask for 1000 or more for an interval."""
DIRECT_MAX = 30
"""Values up to which a resample is drawn value by value; it then costs as much as the shortcut for more."""
POOL_MAX = 3000
"""Values that one resample is read from at most: larger pools are represented by evenly spaced order statistics."""
DEFAULT_SEED = 20250


def median(values: Sequence[int]) -> int:
    """The middle value; of an even number of values the mean of the two middle ones, rounded down to a whole unit.

    Raises :class:`Bug` when there are no values.
    """
    return _median_of_sorted(sorted(values))


def _median_of_sorted(ordered: Sequence[int]) -> int:
    if not ordered:
        raise Bug("a median of no values was asked for")
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def percentile(values: Sequence[int], q: float) -> int:
    """The smallest measured value that at least ``q`` percent of the values do not exceed (nearest rank).

    It is always a value that was measured, never an interpolation: definition 1 of Hyndman and Fan, Sample Quantiles in
    Statistical Packages, The American Statistician 50 (1996). At 50 it may therefore differ from :func:`median`.
    Raises :class:`Bug` when there are no values or ``q`` is outside [0, 100].
    """
    if not values or not 0 <= q <= 100:
        raise Bug(f"percentile {q} of {len(values)} values was asked for")
    return sorted(values)[_rank(len(values), Fraction(str(q)) / 100)]


def _rank(count: int, share: Fraction) -> int:
    """The index of the nearest rank, in exact arithmetic: 99.9 % of 1000 values is the 999th, at index 998."""
    return max(ceil(share * count), 1) - 1


def mad(values: Sequence[int]) -> int:
    """The median absolute deviation from the median, in the values' unit, not scaled to a standard deviation.

    Rousseeuw and Croux, Alternatives to the Median Absolute Deviation, JASA 88 (1993). Raises :class:`Bug` when there
    are no values.
    """
    middle = median(values)
    return median([abs(value - middle) for value in values])


def bootstrap_medians(processes: Sequence[Sequence[int]], resamples: int, random: Random) -> list[int]:
    """``resamples`` medians of resampled measurements, in the order drawn: processes first, then iterations.

    Each resample draws as many processes as there are, with replacement, then from each its number of iterations, with
    replacement, and takes the median of them all (a two-stage bootstrap: Davison and Hinkley, Bootstrap Methods and
    their Application, 1997, section 3.8). Above :data:`DIRECT_MAX` values the second draw is made from the pool of the
    drawn processes, and not value by value: the k-th smallest of n uniform numbers is Beta(k, n + 1 - k) distributed,
    so the median is read off the sorted pool at such a number, at a cost that does not grow with n. Drawing from the
    pool lets each process's share vary; next to the draw of processes that is a variance of processes / n. Pools above
    :data:`POOL_MAX` values are thinned to evenly spaced order statistics. Processes without values are left out; raises
    :class:`Bug` when none is left.
    """
    measured = [sorted(values) for values in processes if values]
    if not measured:
        raise Bug("a bootstrap of no values was asked for")
    if sum(map(len, measured)) > DIRECT_MAX:
        return _medians_of_pools(measured, resamples, random)
    drawn = (random.choices(measured, k=len(measured)) for _ in range(resamples))
    return [median([one for values in each for one in random.choices(values, k=len(values))]) for each in drawn]


def _medians_of_pools(measured: Sequence[Sequence[int]], resamples: int, random: Random) -> list[int]:
    stride = ceil(sum(map(len, measured)) / POOL_MAX)
    thinned = [values[min(stride // 2, len(values) - 1) :: stride] for values in measured]

    @lru_cache(maxsize=128)  # up to 5 processes there are at most 126 different choices
    def pool(chosen: tuple[int, ...]) -> tuple[list[int], int]:
        values = sorted(chain.from_iterable(thinned[index] for index in chosen))
        return values, sum(len(measured[index]) for index in chosen)

    indices = range(len(measured))
    drawn = (tuple(sorted(random.choices(indices, k=len(indices)))) for _ in range(resamples))
    return [_resampled_median(*pool(chosen), random) for chosen in drawn]


def _resampled_median(ordered: Sequence[int], count: int, random: Random) -> int:
    """The median of ``count`` draws with replacement from a sorted pool (see :func:`bootstrap_medians`)."""
    half = count // 2
    if count % 2:
        return _at(ordered, random.betavariate(half + 1, half + 1))
    lower = random.betavariate(half, half + 1)
    # Given the half-th smallest, the next one is the smallest of the other half, uniform between it and 1.
    upper = lower + (1 - lower) * (1 - (1 - random.random()) ** (1 / half))
    return (_at(ordered, lower) + _at(ordered, upper)) // 2


def _at(ordered: Sequence[int], share: float) -> int:
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def bootstrap_median_interval(
    processes: Sequence[Sequence[int]],
    confidence: float = 0.95,
    *,
    resamples: int = RESAMPLES,
    seed: int = DEFAULT_SEED,
) -> tuple[int, int] | None:
    """Lower and upper end of a confidence interval of the pooled median, by bootstrap over processes and iterations.

    The percentile method (Efron and Tibshirani 1993, chapter 13) on :func:`bootstrap_medians`; it always holds the
    sample's own median. The same values and seed give the same interval. None with fewer than
    :data:`INTERVAL_MIN_COUNT` values overall. With one process it speaks of its iterations only, and with two or three
    it is rather too narrow: that many processes tell little about the next one.
    """
    values = list(chain.from_iterable(processes))
    if len(values) < INTERVAL_MIN_COUNT:
        return None
    lower, upper = percentile_interval(bootstrap_medians(processes, resamples, Random(seed)), confidence)
    middle = median(values)
    return min(lower, middle), max(upper, middle)


def percentile_interval(values: Sequence[Number], confidence: float) -> tuple[Number, Number]:
    """The two values that cut off half of ``1 - confidence`` at either end (nearest rank).

    Raises :class:`Bug` when there are no values or ``confidence`` is not between 0 and 1.
    """
    if not values or not 0 < confidence < 1:
        raise Bug(f"a {confidence} interval of {len(values)} values was asked for")
    ordered, tail = sorted(values), (1 - Fraction(str(confidence))) / 2
    return ordered[_rank(len(ordered), tail)], ordered[_rank(len(ordered), 1 - tail)]


def summarise(
    processes: Sequence[Sequence[int]], *, raised_by: str = "--max_profiler_iterations", seed: int = DEFAULT_SEED
) -> TimeSummary:
    """The statistics of a stage from the values of its processes, in nanoseconds; warm-up is not among them.

    ``p90_ns`` is None below :data:`P90_MIN_COUNT` values, ``p99_ns`` below :data:`P99_MIN_COUNT`; the reason names
    ``raised_by``, the option that asks for more. ``per_second`` counts iterations in the sum of their times. Raises
    :class:`Bug` when there are no values.
    """
    values = sorted(chain.from_iterable(processes))
    if not values:
        raise Bug("a summary of no times was asked for")
    count = len(values)
    enough = count >= P99_MIN_COUNT
    reason = f"p99 needs at least {P99_MIN_COUNT} iterations and there are {count}: raise {raised_by}"
    return TimeSummary(
        count=count,
        minimum_ns=values[0],
        median_ns=_median_of_sorted(values),
        p90_ns=percentile(values, 90) if count >= P90_MIN_COUNT else None,
        p99_ns=percentile(values, 99) if enough else None,
        p99_reason=None if enough else reason,
        mad_ns=mad(values),
        median_interval_ns=bootstrap_median_interval(processes, seed=seed),
        per_second=count * 1e9 / max(sum(values), 1),
    )


def share_of_iterations(total: int, processes: int) -> list[int]:
    """Iterations for each process, adding up to ``total``: as even as can be, the larger shares first, none empty.

    There are fewer shares than ``processes`` when there are not enough iterations: a process without any is not run.
    Raises :class:`Bug` unless both are at least 1.
    """
    if total < 1 or processes < 1:
        raise Bug(f"{total} iterations cannot be shared by {processes} processes")
    parts = min(total, processes)
    each, left = divmod(total, parts)
    return [each + (index < left) for index in range(parts)]


def median_range(pairs: Sequence[Range]) -> Range:
    """The median of the lower ends and the median of the upper ends, with ``0 <= lower <= upper``; bytes.

    Raw ends may be negative (memory given back) and are then reported as 0; the raw pairs stay in the profile. Raises
    :class:`Bug` when there are no pairs.
    """
    lower = max(median([pair.lower for pair in pairs]), 0)
    return Range(lower, max(median([pair.upper for pair in pairs]), lower))


def spread(peaks: Sequence[Range], increases: Sequence[Range]) -> Spread:
    """Smallest and largest raw value of each end over the repeats, in bytes; negative ones are kept.

    Raises :class:`Bug` when there are none.
    """
    return Spread(
        peak_lower=_extent([pair.lower for pair in peaks]),
        peak_upper=_extent([pair.upper for pair in peaks]),
        increase_lower=_extent([pair.lower for pair in increases]),
        increase_upper=_extent([pair.upper for pair in increases]),
    )


def _extent(values: Sequence[int]) -> Range:
    if not values:
        raise Bug("a spread of no values was asked for")
    return Range(min(values), max(values))
