"""What a duet decides by: the ratio of neighbouring windows, its interval, and the answer. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain
from math import exp, log, sqrt
from random import Random
from statistics import NormalDist, median

from dynolab.spec.answers import Answer
from dynolab.spec.duets import DuetPair, DuetWindow, Ratio
from dynolab.spec.stats import percentile_interval

CONFIDENCE = 0.95
"""Of the intervals. In 1,500 simulated duets of the same thing, drawn from 36 pairs recorded beside up to six busy processes on two
CPUs and looked at after each pair from the fifth to the tenth, none was called changed at a floor of 2 %; what took 20 % longer was
found in all of 400, at 0.99 in 98 %."""
PAIRS_MIN = 5
RESAMPLES = 2000

Groups = Sequence[Sequence[float]]
"""Logarithms of ratios, of each pair of processes those of its neighbouring windows."""


def window_figure(window: DuetWindow) -> int:
    """The figure of a window, in ns: its shortest iteration.

    Preemption touches it last. Pairs of the same thing differed (median absolute deviation) by 2.4 % with it and 3.1 % with the
    medians, over 36 pairs beside up to six busy processes; by 0.8 and 3.8 % over 9 with every thread waiting half of the time. The
    first quartile did as well on the former (2.0 %).
    """
    return min(window.values_ns)


def of_pairs(pairs: Sequence[DuetPair]) -> Groups:
    """The ratios of inference."""
    return [[_log_ratio(one, other) for one, other in neighbours(pair.windows)] for pair in pairs]


def neighbours(windows: Sequence[DuetWindow]) -> list[tuple[DuetWindow, DuetWindow]]:
    """Windows of both sides that followed each other, that of ``a`` first."""
    couples = zip(windows[::2], windows[1::2], strict=False)
    return [(one, other) if one.side == "a" else (other, one) for one, other in couples]


def _log_ratio(a: DuetWindow, b: DuetWindow) -> float:
    return log(window_figure(b) / window_figure(a))


def of_times(times: Sequence[tuple[int, int]]) -> Groups:
    """The ratios of a stage that is timed once a process."""
    return [[log(b / a)] for a, b in times]


def ratio(groups: Groups, seed: int, *, resamples: int = RESAMPLES) -> Ratio | None:
    """The ratio with its interval; None for fewer than :data:`PAIRS_MIN` pairs of processes."""
    if len(groups) < PAIRS_MIN:
        return None
    ordered = [sorted(group) for group in groups]
    middle = median(map(median, ordered))
    random = Random(seed)
    drawn = [_resampled(ordered, random) for _ in range(resamples)]
    lower, upper = percentile_interval(drawn, _expanded(CONFIDENCE, len(groups)))
    return Ratio(exp(middle), exp(min(lower, middle)), exp(max(upper, middle)))


def _resampled(ordered: Groups, random: Random) -> float:
    """The median over pairs drawn with replacement of the medians of their windows, drawn likewise.

    A two-stage bootstrap (Davison and Hinkley, Bootstrap Methods and their Application, 1997, section 3.8). The median of n
    values drawn from n sorted ones stands at a share of them that is Beta((n + 1) / 2, (n + 1) / 2) distributed.
    """
    return median(_resampled_median(group, random) for group in random.choices(ordered, k=len(ordered)))


def _resampled_median(ordered: Sequence[float], random: Random) -> float:
    half = (len(ordered) + 1) / 2
    return ordered[min(int(random.betavariate(half, half) * len(ordered)), len(ordered) - 1)]


def _expanded(confidence: float, count: int) -> float:
    """The confidence that a percentile interval of few values must be taken at to hold what it says.

    Hesterberg, What Teachers Should Know About the Bootstrap, The American Statistician 69 (2015), section 3.4.
    """
    freedom = count - 1
    z = NormalDist().inv_cdf(0.5 + confidence / 2)
    student = z + (z**3 + z) / (4 * freedom) + (5 * z**5 + 16 * z**3 + 3 * z) / (96 * freedom**2)
    return 2 * NormalDist().cdf(student * sqrt(count / freedom)) - 1


def answer(found: Ratio | None, floor: float) -> Answer:
    """Changed when the interval lies beyond the floor, unchanged when it lies within."""
    if found is None:
        return Answer.CANNOT_TELL
    if found.lower > 1 + floor or found.upper < 1 / (1 + floor):
        return Answer.CHANGED
    if found.lower >= 1 / (1 + floor) and found.upper <= 1 + floor:
        return Answer.UNCHANGED
    return Answer.CANNOT_TELL


def is_decided(found: Ratio | None, floor: float, limit: float | None) -> bool:
    """Whether more pairs would change nothing: the answer is there, or on which side of the limit the ratio lies."""
    if found is None:
        return False
    if limit is None:
        return answer(found, floor) is not Answer.CANNOT_TELL
    return found.lower > 1 + limit or found.upper <= 1 + limit


def window_times(pairs: Sequence[DuetPair], side: str) -> list[int]:
    """All iterations of one side, in ns."""
    return list(chain.from_iterable(w.values_ns for pair in pairs for w in pair.windows if w.side == side))
