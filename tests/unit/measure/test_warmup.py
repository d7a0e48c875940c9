"""When warm-up ends."""

from __future__ import annotations

from collections.abc import Callable

import pytest

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


def test_neighbouring_windows_may_differ_by_the_tolerance_and_no_more() -> None:
    before, least = [10_000] * 5, 10_000 * (1 + warmup.WARMUP_TOLERANCE)
    assert warmup.settled([*before, *[int(least)] * 5])
    assert not warmup.settled([*before, *[int(least) + 1] * 5])
    assert warmup.settled([*before, *[9_500] * 5])
    assert not warmup.settled([*before, *[9_499] * 5])
    assert warmup.settled([1, 2, 3, *before, *before]), "the last two windows count, not what came before"
    assert not warmup.settled([*before, *before, *[20_000] * 5])


def test_long_iterations_end_it_by_their_sum() -> None:
    half = warmup.WARMUP_MAX_NS // 2
    assert not warmup.settled([half, half - 1])
    assert warmup.settled([half, half])


@pytest.fixture
def batches(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[int, list[int], list[int]]]:
    """Runs warm-up with durations that are given: how many runs it took, and of which batches, until when, it consisted."""

    def play(
        take: Callable[[int], int], room: int = warmup.WARMUP_MAX, limit_ns: int = 10**18
    ) -> tuple[int, list[int], list[int]]:
        counts, ends, clock = list[int](), list[int](), [0]

        def fake(run: object, durations: memoryview, count: int, end: int) -> int:
            assert len(durations) == room - sum(counts), "each batch is put behind those before it"
            for index in range(count):
                durations[index] = take(sum(counts) + index)
                clock[0] += durations[index]
            counts.append(count)
            ends.append(end)
            return count

        monkeypatch.setattr(warmup, "loop", fake)
        monkeypatch.setattr(warmup, "now_ns", lambda: clock[0])
        return warmup.warm_up(lambda: None, memoryview(bytearray(room * 8)).cast("q"), limit_ns), counts, ends

    return play


def test_warm_up_goes_on_in_growing_batches_until_it_has_settled(
    batches: Callable[..., tuple[int, list[int], list[int]]],
) -> None:
    assert batches(lambda _: 1000)[:2] == (10, [1, 2, 2, 5])
    late = batches(lambda number: 1000 if number >= 40 else 1000 << number // 5 % 2)
    assert late[:2] == (80, [1, 2, 2, 5, 10, 20, 40])


def test_warm_up_that_never_settles_fills_its_room_and_no_more(
    batches: Callable[..., tuple[int, list[int], list[int]]],
) -> None:
    def restless(number: int) -> int:
        return 1000 << number // 5 % 2

    done, counts, _ = batches(restless)
    assert (done, counts) == (1000, [1, 2, 2, 5, 10, 20, 40, 80, 160, 320, 360])
    assert batches(restless, room=7)[0] == 7


def test_warm_up_ends_with_its_time(batches: Callable[..., tuple[int, list[int], list[int]]]) -> None:
    done, counts, ends = batches(lambda number: 10 << number, limit_ns=70)
    assert (done, counts, set(ends)) == (3, [1, 2], {70}), "10 + 20 + 40 ns"
    assert set(batches(lambda _: 1000)[2]) == {warmup.WARMUP_MAX_NS}, "a longer limit is none"


def test_its_bounds_are_those_that_the_documents_name() -> None:
    assert (warmup.WARMUP_WINDOW, warmup.WARMUP_TOLERANCE) == (5, 0.05)
    assert (warmup.WARMUP_MAX, warmup.WARMUP_MAX_NS) == (1000, 500_000_000)
