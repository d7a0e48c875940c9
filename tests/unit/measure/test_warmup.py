"""When warm-up ends."""

from __future__ import annotations

from dynolab.measure import warmup


def test_warm_up_ends_when_the_running_median_settles() -> None:
    falling = [1865, 900, 400, 200, 150, 120, 110, 104, 102, 101]
    steady = [100, 101, 99, 100, 100, 101, 99, 100, 5000, 100]
    times = falling + steady
    ended = next(count for count in range(len(times) + 1) if warmup.settled(times[:count]))
    assert len(falling) + 5 <= ended < len(times) + 1


def test_one_outlier_does_not_keep_warm_up_going() -> None:
    assert warmup.settled([100] * 5 + [100, 100, 90_000, 100, 100])


def test_warm_up_needs_two_windows_unless_iterations_are_long() -> None:
    assert not warmup.settled([])
    assert not warmup.settled([100] * (2 * warmup.WARMUP_WINDOW - 1))
    assert warmup.settled([warmup.WARMUP_MAX_NS])


def test_warm_up_that_never_settles_is_bounded() -> None:
    times = [2**index % 1009 + 1 for index in range(warmup.WARMUP_MAX)]
    restless = [time * (1000 if index // 5 % 2 else 1) for index, time in enumerate(times)]
    assert not warmup.settled(restless[:-5])
    assert warmup.settled(restless)
