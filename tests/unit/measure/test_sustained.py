"""Whether a device kept its pace: synthetic curves with a known answer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import isclose
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from dynolab.errors import Bug
from dynolab.measure.sustained import (
    CRITICAL_Z,
    FIRST_NS,
    LEAST_PART,
    LEAST_WINDOWS,
    SHARED_SLOWER,
    SLOWER,
    Around,
    find_slowdown,
    judge,
    notices,
)
from dynolab.spec import codec
from dynolab.spec.measurements import SustainedWindow
from dynolab.spec.profiles import Profile, SlowdownCause, Sustained, Trust
from dynolab.testing.sample import sample_profile, sustained_profile

SECOND = 10**9
BASE_NS = 5_000_000
AROUND = Around(600.0, {"reference_kernel.integer_ns": 100_000.0}, is_shared=False, inference_ns=4_950_000)
Shape = Callable[[int], float]


def windows(
    factor: Shape, count: int = 600, *, noise: float = 0.01, seed: int = 3, **told: Any
) -> list[SustainedWindow]:
    """Windows of a second whose medians are the base's times ``factor(second)``; ``told`` are fields, or what gives them by second."""
    random, found = Random(seed), []
    for second in range(count):
        median_ns = int(BASE_NS * factor(second) * (1 + noise * random.random()))
        fields = {name: value(second) if callable(value) else value for name, value in told.items()}
        quiet = {"delay_ns": 0, "others_ns": 0, "kernel_ns": 101_000}
        found.append(
            SustainedWindow(
                second * SECOND, SECOND, SECOND // median_ns, int(median_ns * 0.99), median_ns, **{**quiet, **fields}
            )
        )
    return found


def step(at: int, times: float) -> Shape:
    return lambda second: times if second >= at else 1.0


def flat(second: int) -> float:
    del second
    return 1.0


def test_a_steady_device_has_no_time_to_throttle_and_says_within_what_time() -> None:
    found = judge(windows(flat), AROUND)
    assert (found.slowed_after_ns, found.throttled_after_ns, found.cause) == (None, None, None)
    assert found.explanation == "no throttling seen within 600 s"
    assert found.verdict.trust is Trust.CLEAN
    assert found.ratio_lower < 1.0 < found.ratio_upper
    assert found.first.ends_ns == FIRST_NS
    assert (found.steady.begins_ns, found.steady.windows) == (300 * SECOND, 300)
    assert notices(found) == []


@pytest.mark.parametrize("at", [10, 28, 180, 420])
def test_a_step_is_found_where_it_is_with_its_size(at: int) -> None:
    found = judge(windows(step(at, 1.25), clock_hz=lambda second: 2.4e9 if second < at else 1.9e9), AROUND)
    assert found.slowed_after_ns == at * SECOND == found.throttled_after_ns
    assert found.cause is SlowdownCause.THROTTLING
    assert isclose(found.ratio, 1.25, rel_tol=0.01)
    assert found.ratio_lower < 1.25 < found.ratio_upper
    assert found.ratio_upper - found.ratio_lower < 0.08
    assert found.first.ends_ns == min(60, at) * SECOND, "nothing of what is slower is part of the beginning"
    assert [one.code for one in notices(found)] == ["sustained-slower"]


def test_a_ramp_is_slower_by_its_end_state() -> None:
    found = judge(windows(lambda second: 1 + 0.3 * min(1.0, second / 240)), AROUND)
    assert found.slowed_after_ns is not None
    assert 30 * SECOND < found.slowed_after_ns < 240 * SECOND
    assert isclose(found.steady.median_ns, BASE_NS * 1.3, rel_tol=0.02)


@pytest.mark.parametrize(
    "shape",
    [
        pytest.param(lambda second: 1.5 if 200 <= second < 330 else 1.0, id="a spell that ends"),
        pytest.param(lambda second: 1.6 if second % 7 == 0 else 1.0, id="now and then"),
        pytest.param(step(300, 1 + SLOWER / 2), id="less than counts"),
        pytest.param(lambda second: 1.4 if second < 20 else 1.0, id="faster after a while"),
        pytest.param(lambda second: 2.0 if second >= 596 else 1.0, id="the last four windows"),
    ],
)
def test_what_is_no_slowdown_is_none(shape: Shape) -> None:
    assert judge(windows(shape), AROUND).slowed_after_ns is None


def test_a_virtual_machine_needs_a_larger_change_and_its_clock_tells_nothing() -> None:
    shared = replace(AROUND, is_shared=True)
    small, large = (windows(step(300, times), clock_hz=lambda second: 2e9 if second < 300 else 1e9, kernel_ns=lambda second: 101_000 if second < 300 else 130_000)
                    for times in (1 + (SLOWER + SHARED_SLOWER) / 2, 1.3))  # fmt: skip
    assert judge(small, shared).slowed_after_ns is None
    assert judge(small, AROUND).slowed_after_ns == 300 * SECOND
    found = judge(large, shared)
    assert found.cause is SlowdownCause.SLOWER_CPU
    assert found.throttled_after_ns is None
    assert "throttling, or a busy neighbour" in found.explanation
    assert (found.first.clock_hz, found.windows[0].clock_hz) == (None, None), "a nominal figure is none"
    assert "nominal" in found.unavailable["clock"]


def late(before: float, after: float) -> Callable[[int], float]:
    return lambda second: before if second < 300 else after


@pytest.mark.parametrize(
    ("told", "cause"),
    [
        ({"delay_ns": lambda second: 0 if second < 300 else 400_000_000}, SlowdownCause.WAITING),
        ({"throttled_ns": lambda second: 0 if second < 300 else 400_000_000}, SlowdownCause.WAITING),
        ({"stolen_ns": lambda second: 0 if second < 300 else 400_000_000}, SlowdownCause.WAITING),
        ({"clock_hz": late(2.4e9, 1.8e9), "kernel_ns": late(101_000, 135_000)}, SlowdownCause.THROTTLING),
        ({"held_back": late(0.0, 2.0)}, SlowdownCause.THROTTLING),
        ({"throttle_events": lambda second: 0 if second < 300 else 3}, SlowdownCause.THROTTLING),
        ({"others_ns": lambda second: 0 if second < 300 else 900_000_000}, SlowdownCause.OTHER_LOAD),
        ({"clock_hz": 2.4e9, "kernel_ns": late(101_000, 135_000)}, SlowdownCause.NEIGHBOUR),
        ({"kernel_ns": late(101_000, 135_000)}, SlowdownCause.SLOWER_CPU),
        ({"celsius": late(50.0, 90.0), "clock_hz": 2.4e9}, SlowdownCause.UNEXPLAINED),
        ({"kernel_ns": None, "delay_ns": None, "others_ns": None}, SlowdownCause.UNEXPLAINED),
    ],
)
def test_what_it_comes_from_is_told_by_what_was_read_beside_it(told: dict[str, Any], cause: SlowdownCause) -> None:
    found = judge(windows(step(300, 1.3), **told), AROUND)
    assert found.cause is cause
    assert (found.throttled_after_ns is not None) is (cause is SlowdownCause.THROTTLING)
    assert found.explanation.startswith("slower after 300 s: ")


@pytest.mark.parametrize(
    ("told", "reason"),
    [
        ({"delay_ns": 20_000_000}, "threads waited for a CPU in 100 % of the windows"),
        (
            {"kernel_ns": lambda second: 140_000 if second % 4 else 100_000},
            "the CPU ran below its best speed in 75.0 % of",
        ),
    ],
)
def test_other_load_makes_it_noisy(told: dict[str, Any], reason: str) -> None:
    found = judge(windows(flat, **told), AROUND)
    assert found.verdict.trust is Trust.NOISY
    assert found.verdict.reasons[0].startswith(reason)


def test_a_device_that_was_slower_before_it_began_is_told() -> None:
    found = judge(windows(flat), replace(AROUND, inference_ns=int(BASE_NS / 1.3)))
    assert found.verdict.reasons == ("the device was 28.7 % slower already when it began than in the inference stage",)


def test_few_windows_say_nothing() -> None:
    found = judge(windows(step(10, 3.0), LEAST_WINDOWS - 1), AROUND)
    assert found.slowed_after_ns is None
    assert found.explanation == "19 windows within 19.0 s do not tell whether it got slower"
    assert found.verdict.trust is Trust.NOISY
    assert judge(windows(flat, 1), AROUND).ratio == 1.0
    with pytest.raises(Bug):
        judge([], AROUND)


@given(st.lists(st.integers(1, 10**10), min_size=1, max_size=80), st.integers(2, 1000))
@settings(deadline=None)
def test_a_change_is_a_place_whose_sides_differ_and_its_unit_does_not_matter(values: list[int], unit: int) -> None:
    place = find_slowdown(values, SLOWER)
    assert find_slowdown([value * unit for value in values], SLOWER) == place
    if place is not None:
        assert LEAST_PART <= place <= len(values) - LEAST_PART
        before, after = sorted(values[:place]), sorted(values[place:])
        assert after[len(after) // 2] > before[len(before) // 2 - 1]


@given(st.integers(LEAST_PART * 2, 140), st.integers(60, 150), st.floats(1.2, 4), st.randoms(use_true_random=False))
@settings(deadline=None, max_examples=60)
def test_a_clear_step_is_found_within_two_windows(at: int, more: int, times: float, random: Random) -> None:
    values = [
        int(1_000_000 * (times if index >= at else 1) * (1 + 0.05 * random.random())) for index in range(at + more)
    ]
    place = find_slowdown(values, SLOWER)
    assert place is not None
    assert abs(place - at) <= 2


def test_without_a_change_the_statistic_passes_its_bound_seldom() -> None:
    """Below 1 % of curves of pure noise (the bound's promise), counted without the rule on the size."""
    random = Random(17)
    found = sum(
        find_slowdown([random.randrange(10**6, 2 * 10**6) for _ in range(120)], -1.0) is not None for _ in range(600)
    )
    assert found <= 6, CRITICAL_Z


@given(st.sampled_from([step(300, 1.2), flat]), st.integers(0, 50))
@settings(deadline=None, max_examples=10)
def test_the_ratio_lies_in_its_range_which_is_the_same_each_time(shape: Shape, seed: int) -> None:
    curve = windows(shape, seed=seed, noise=0.1)
    found = judge(curve, AROUND)
    assert found.ratio_lower <= found.ratio <= found.ratio_upper
    assert judge(curve, AROUND) == found


def test_an_old_profile_has_none_and_a_new_one_reads_back() -> None:
    document = codec.encode(sample_profile())
    assert isinstance(document, dict)
    for name in ("sustained", "sustained_reason"):
        del document[name]
    assert codec.decode(Profile, document).sustained is None
    whole = sustained_profile()
    assert codec.decode(Profile, codec.encode(whole)) == whole
    assert isinstance(whole.sustained, Sustained)
