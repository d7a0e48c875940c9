"""Statistics against plain definitions, and the rules of measuring.md sections 2 and 3."""

from __future__ import annotations

from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynolab.errors import Bug
from dynolab.spec import stats
from dynolab.spec.measurements import Range

BUSY = settings(deadline=None)  # other tests run beside this one: a slow example is no mistake

VALUES = st.lists(st.integers(-(10**12), 10**15), min_size=1, max_size=60)
TIMES = st.lists(st.integers(0, 10**12), min_size=1, max_size=40)


@BUSY
@given(VALUES)
def test_median_is_the_exact_one_rounded_down(values: list[int]) -> None:
    ordered = sorted(values)
    twice = ordered[(len(values) - 1) // 2] + ordered[len(values) // 2]
    assert stats.median(values) * 2 in (twice, twice - 1)


def test_median_of_an_even_number_rounds_down_below_zero_too() -> None:
    assert (stats.median([4, 1]), stats.median([-4, -1]), stats.median([7, 3, 5])) == (2, -3, 5)


@BUSY
@given(VALUES, st.integers(0, 1000).map(lambda tenths: tenths / 10))
def test_percentile_is_the_smallest_value_that_enough_values_do_not_exceed(values: list[int], q: float) -> None:
    found = stats.percentile(values, q)
    tenths = round(q * 10)
    assert found in values
    assert sum(value <= found for value in values) * 1000 >= tenths * len(values)
    below = [value for value in values if value < found]
    assert not below or len(below) * 1000 < tenths * len(values)


def test_percentile_ranks_are_exact() -> None:
    values = list(range(1, 1001))
    assert [stats.percentile(values, q) for q in (0, 0.1, 50, 90, 99, 99.9, 100)] == [1, 1, 500, 900, 990, 999, 1000]
    for q in (-1, 100.5, float("nan")):
        with pytest.raises(Bug):
            stats.percentile(values, q)


def test_mad_ignores_an_outlier() -> None:
    assert stats.mad([10, 11, 12, 13, 1_000_000]) == 1
    assert stats.mad([5]) == 0


@pytest.mark.parametrize("call", [stats.median, stats.mad, stats.summarise, stats.median_range,
                                  lambda empty: stats.spread(empty, empty),
                                  lambda empty: stats.percentile(empty, 50)])  # fmt: skip
def test_no_values_are_a_bug_of_the_caller(call) -> None:  # type: ignore[no-untyped-def] # any callable
    with pytest.raises(Bug):
        call([])


# ---- bootstrap -------------------------------------------------------------------------------------------------------


def test_no_interval_below_five_values_overall() -> None:
    assert stats.bootstrap_median_interval([[1, 2], [3, 4]]) is None
    assert stats.bootstrap_median_interval([[1, 2], [3, 4], [5]]) is not None
    assert stats.bootstrap_median_interval([]) is None


@BUSY
@given(st.lists(TIMES, min_size=1, max_size=4), st.sampled_from([0.95, 0.001]), st.integers(0, 9))
def test_an_interval_is_repeatable_and_holds_the_median(processes: list[list[int]], share: float, seed: int) -> None:
    values = [value for process in processes for value in process]
    found = stats.bootstrap_median_interval(processes, share, resamples=200, seed=seed)
    assert found == stats.bootstrap_median_interval(processes, share, resamples=200, seed=seed)
    assert (found is None) == (len(values) < 5)
    if found is not None:
        assert min(values) <= found[0] <= stats.median(values) <= found[1] <= max(values)


def test_processes_that_disagree_widen_the_interval() -> None:
    alike = [[100 + index % 7 for index in range(50)] for _ in range(3)]
    apart = [[value + 40 * number for value in process] for number, process in enumerate(alike)]
    lower, upper = stats.bootstrap_median_interval(alike) or (0, 0)
    assert upper - lower <= 3
    lower, upper = stats.bootstrap_median_interval(apart) or (0, 0)
    assert upper - lower >= 80


def test_more_confidence_is_a_wider_interval() -> None:
    random = Random(3)
    processes = [[random.randrange(1000, 2000) for _ in range(40)] for _ in range(3)]
    half, most = (stats.bootstrap_median_interval(processes, confidence) for confidence in (0.5, 0.99))
    assert half is not None
    assert most is not None
    assert most[0] < half[0] < half[1] < most[1]


@pytest.mark.parametrize("sizes", [(32,), (33,), (9, 9, 9), (33, 34, 35), (50, 50, 50), (100, 10, 40)])
def test_resampled_medians_have_the_distribution_of_the_plain_two_stage_bootstrap(sizes: tuple[int, ...]) -> None:
    source, count = Random(11), 6000
    processes = [
        [int(source.gauss(10_000 + 150 * number, 300)) for _ in range(size)] for number, size in enumerate(sizes)
    ]
    found = stats.bootstrap_medians(processes, count, Random(1))
    plain = []
    for _ in range(count):
        drawn = source.choices(processes, k=len(processes))
        plain.append(stats.median([value for values in drawn for value in source.choices(values, k=len(values))]))
    largest = max(
        abs(sum(one <= at for one in found) - sum(one <= at for one in plain)) / count
        for at in (stats.percentile(found, q) for q in range(2, 100, 6))
    )
    # Kolmogorov-Smirnov: two samples of 6000 differ by more than 0.036 once in a thousand times.
    assert largest < 0.036


def test_large_measurements_are_thinned_without_moving_the_interval() -> None:
    random = Random(5)
    processes = [[int(random.gauss(1_000_000, 10_000)) for _ in range(5000)] for _ in range(3)]
    lower, upper = stats.bootstrap_median_interval(processes) or (0, 0)
    assert 999_000 < lower < upper < 1_001_000


class _Counting(Random):
    draws = 0

    def random(self) -> float:
        self.draws += 1
        return super().random()


def test_the_work_of_a_resample_does_not_grow_with_the_values() -> None:
    draws = []
    for size in (100, 10_000):
        random = _Counting(7)
        stats.bootstrap_medians([list(range(size))] * 3, 300, random)
        draws.append(random.draws)
    assert draws[1] < 1.5 * draws[0] < 300 * 30


# ---- the summary of a stage ------------------------------------------------------------------------------------------


def test_a_summary_pools_the_processes() -> None:
    summary = stats.summarise([[40, 10, 20], [30, 60, 50, 70]])
    assert (summary.count, summary.minimum_ns, summary.median_ns, summary.mad_ns) == (7, 10, 40, 20)
    assert summary.per_second == pytest.approx(7 / 280e-9)
    assert summary.median_interval_ns is not None


@pytest.mark.parametrize(("count", "has_p90", "has_p99"), [(9, False, False), (10, True, False), (499, True, False),
                                                           (500, True, True)])  # fmt: skip
def test_tail_percentiles_need_enough_iterations(count: int, has_p90: bool, has_p99: bool) -> None:
    values = list(range(1, count + 1))
    summary = stats.summarise([values[::2], values[1::2]])
    assert summary.p90_ns == (stats.percentile(values, 90) if has_p90 else None)
    assert summary.p99_ns == (495 if has_p99 else None)
    if has_p99:
        assert summary.p99_reason is None
    else:
        assert str(count) in (summary.p99_reason or "")
        assert "--max_profiler_iterations" in (summary.p99_reason or "")


def test_the_reason_names_the_option_that_helps() -> None:
    assert "--repeats" in (stats.summarise([[5]], raised_by="--repeats").p99_reason or "")


def test_times_of_zero_still_have_a_finite_rate() -> None:
    assert stats.summarise([[0, 0, 0]]).per_second < float("inf")


# ---- shares ----------------------------------------------------------------------------------------------


@BUSY
@given(st.integers(1, 10**6), st.integers(1, 64))
def test_iterations_are_shared_evenly_and_wholly(total: int, processes: int) -> None:
    shares = stats.share_of_iterations(total, processes)
    assert sum(shares) == total
    assert len(shares) == min(total, processes)
    assert min(shares) >= 1
    assert max(shares) - min(shares) <= 1
    assert shares == sorted(shares, reverse=True)


@pytest.mark.parametrize(("total", "processes"), [(0, 3), (3, 0), (-1, 1)])
def test_nothing_to_share_is_a_bug_of_the_caller(total: int, processes: int) -> None:
    with pytest.raises(Bug):
        stats.share_of_iterations(total, processes)


# ---- memory ----------------------------------------------------------------------------------------------------------

ENDS = st.integers(-(2**40), 2**40)
RANGES = st.lists(st.builds(Range, ENDS, ENDS), min_size=1, max_size=9)


@BUSY
@given(RANGES)
def test_a_range_is_ordered_and_never_negative(pairs: list[Range]) -> None:
    found = stats.median_range(pairs)
    assert 0 <= found.lower <= found.upper


@BUSY
@given(st.lists(st.tuples(ENDS, st.integers(0, 2**40), st.integers(0, 2**40), st.integers(0, 2**40)), min_size=1, max_size=9))  # fmt: skip
def test_increase_stays_below_peak_when_it_does_in_every_repeat(rows: list[tuple[int, int, int, int]]) -> None:
    increases = [Range(low, low + width) for low, width, _, _ in rows]
    peaks = [Range(low + more, low + more + width + most) for low, width, more, most in rows]
    increase, peak = stats.median_range(increases), stats.median_range(peaks)
    assert increase.lower <= peak.lower
    assert increase.upper <= peak.upper


@BUSY
@given(RANGES)
def test_one_more_repeat_of_the_same_never_widens_a_range(pairs: list[Range]) -> None:
    assert stats.median_range(pairs * 3) == stats.median_range(pairs)


def test_range_is_the_median_of_either_end() -> None:
    pairs = [Range(10, 100), Range(-5, 400), Range(20, 90)]
    assert stats.median_range(pairs) == Range(10, 100)
    assert stats.median_range([Range(-7, -2)]) == Range(0, 0)


def test_spread_keeps_raw_extremes() -> None:
    spread = stats.spread([Range(3, 9), Range(-1, 5)], [Range(2, 2), Range(-4, 8)])
    assert (spread.peak_lower, spread.peak_upper) == (Range(-1, 3), Range(5, 9))
    assert (spread.increase_lower, spread.increase_upper) == (Range(-4, 2), Range(2, 8))
