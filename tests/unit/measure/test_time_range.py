"""Ranges of times: what calm and disturbed windows give, and what never happens to them."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.measure.time_range import (
    ALONE_WIDTH,
    CALM_WINDOWS,
    LEAST_WIDTH,
    SHARED_WIDTH,
    ProcessTimes,
    TimeRange,
    calm_minima,
    reference_name,
    settled,
    time_range,
)
from dynolab.spec.measurements import LoopWindow

KERNEL_NS = 100_000
BEST = {reference_name(1): float(KERNEL_NS), reference_name(2): 1.1 * KERNEL_NS}
MS = 1_000_000


def window(
    fastest_ns: int, *, slowdown: float = 1.0, delay_ns: int = 0, **more: int | str
) -> tuple[LoopWindow, tuple[int, ...]]:
    """Ten iterations of one thread, the third of them the fastest."""
    values = tuple(fastest_ns + (0 if at == 2 else 20_000) for at in range(10))
    seen = LoopWindow(
        10, sum(values) + delay_ns, cpu_ns=sum(values), delay_ns=delay_ns, kernel_ns=int(KERNEL_NS * slowdown)
    )
    return replace(seen, **more), values  # type: ignore[arg-type] # of several fields


def process(*windows: tuple[LoopWindow, tuple[int, ...]]) -> ProcessTimes:
    return ProcessTimes([value for _, values in windows for value in values], [seen for seen, _ in windows])


def found(*processes: ProcessTimes) -> TimeRange:
    return time_range(processes, BEST)


def unconfirmed(ns: float) -> int:
    """The lower end where fewer than two processes were calm."""
    return int(ns / (1 + ALONE_WIDTH))


def test_calm_processes_that_agree_have_a_narrow_range() -> None:
    seen = found(*(process(window(ns), window(ns + 5_000)) for ns in (2 * MS, 2 * MS + 10_000, 2 * MS + 60_000)))
    assert (seen.upper_ns, seen.lower_ns) == (2 * MS, int(2 * MS / (1 + LEAST_WIDTH)))
    assert (seen.calm_windows, seen.windows) == (6, 6)
    assert seen.gap == pytest.approx(0.005)


def test_processes_that_disagree_are_as_far_apart_as_another_might_be() -> None:
    seen = found(process(window(2 * MS)), process(window(int(2.2 * MS))), process(window(3 * MS)))
    assert seen.lower_ns == int(2 * MS / 1.1)
    assert found(process(window(2 * MS))).gap is None


def test_a_calm_window_decides_among_disturbed_ones() -> None:
    loud = [
        window(int(2.6 * MS), slowdown=1.3),
        window(int(2.1 * MS), delay_ns=8 * MS),
        window(int(2.2 * MS), throttled_ns=9 * MS),
    ]
    seen = found(process(*loud, window(2 * MS)), process(window(2 * MS), *loud))
    assert seen.lower_ns == int(2 * MS / (1 + LEAST_WIDTH))
    assert (seen.calm_windows, seen.windows) == (2, 8)


def test_without_a_calm_window_the_time_might_be_as_short_as_its_witnesses_allow() -> None:
    slow = process(window(int(2.9 * MS), slowdown=1.3))
    assert found(slow, slow).lower_ns == unconfirmed(2 * MS), "a slow core takes more from a model than from the kernel"
    waiting = process(window(3 * MS, delay_ns=10 * MS, cpu_ns=20 * MS))
    assert found(waiting, waiting).lower_ns == unconfirmed(2 * MS), "and another process may be faster"
    assert found(waiting, waiting).delay_share > 0.2
    stopped = process(window(3 * MS, throttled_ns=20 * MS, cpu_ns=10 * MS))
    assert found(stopped, stopped).lower_ns == unconfirmed(1 * MS)


@pytest.mark.parametrize(
    ("turns", "lower_ms"), [(9, 3 / (1 + LEAST_WIDTH)), (10, 2 / (1 + ALONE_WIDTH)), (None, 2 / (1 + ALONE_WIDTH))]
)
def test_with_fewer_turns_than_iterations_one_of_them_never_waited(turns: int | None, lower_ms: float) -> None:
    waiting = process(window(3 * MS, delay_ns=10 * MS, cpu_ns=20 * MS, turns=turns))
    assert found(waiting, waiting).lower_ns == int(lower_ms * MS)


def test_a_thread_that_waits_may_leave_the_others_to_go_on_slower() -> None:
    """A hog on one of two CPUs: a thread pool's iterations end without the thread that waits, and are called by nobody undisturbed."""
    both = process(window(3 * MS, delay_ns=20 * MS, cpu_ns=60 * MS, turns=1))
    assert found(both, both).calm_windows == 0
    assert found(both, both).lower_ns == unconfirmed(3 * MS * 3 / 4)


def test_on_a_part_of_a_larger_machine_calm_processes_differ_more() -> None:
    calm = [process(window(2 * MS)), process(window(2 * MS))]
    assert time_range(calm, BEST, is_shared=True).lower_ns == int(2 * MS / (1 + SHARED_WIDTH))


def test_the_window_of_the_fastest_iteration_decides() -> None:
    slow = window(9 * MS, delay_ns=80 * MS, cpu_ns=10 * MS)
    best = process(slow, window(3 * MS, delay_ns=10 * MS, cpu_ns=20 * MS))
    assert found(best, best).lower_ns == unconfirmed(2 * MS)


def test_a_load_is_no_shorter_than_its_own_thread_ran_however_much_its_threads_waited() -> None:
    load = LoopWindow(1, 11 * MS, cpu_ns=9 * MS, delay_ns=25 * MS)
    loads = [process((replace(load, main_cpu_ns=cpu_ms * MS), (10 * MS,))) for cpu_ms in (8, 6, 0)]
    assert found(*loads[:2]).lower_ns == unconfirmed(6 * MS)
    assert found(*loads).lower_ns == 0


def test_what_a_quota_takes_is_waiting_already() -> None:
    stopped = process(window(3 * MS, delay_ns=15 * MS, throttled_ns=15 * MS, cpu_ns=10 * MS))
    assert found(stopped, stopped).lower_ns == unconfirmed(1.5 * MS)


def test_a_process_that_had_a_calm_window_by_chance_and_was_faster_beside_it_tells_nothing() -> None:
    calm, lucky = window(2 * MS), (window(4 * MS), window(int(3.5 * MS), delay_ns=9 * MS))
    assert found(process(calm), process(*lucky)).gap is None
    assert found(process(calm), process(*lucky)).lower_ns == int(2 * MS / (1 + ALONE_WIDTH))
    assert found(process(calm), process(*lucky), process(window(int(2.1 * MS)))).gap == pytest.approx(0.05)


def test_a_window_that_is_a_little_slow_is_calm_and_nothing_is_held_against_it() -> None:
    seen = found(*[process(window(2 * MS, slowdown=1.04))] * 2)
    assert seen.calm_windows == 2
    assert seen.lower_ns == int(2 * MS / (1 + LEAST_WIDTH))


def test_all_cores_busy_are_held_against_all_cores_busy() -> None:
    """A laptop that clocks down under the load of all its cores is undisturbed."""
    both = process(window(2 * MS, slowdown=1.1, kernel_threads=2))
    assert found(both, both).calm_windows == 2
    one = process(window(2 * MS, slowdown=1.1))
    assert found(one, one).calm_windows == 0


def test_a_core_of_another_type_has_a_best_of_its_own() -> None:
    little = process(window(2 * MS, slowdown=2.5, core="446"))
    assert found(little, little).calm_windows == 2, "nothing is known of it but this"
    known = {**BEST, reference_name(1, "446"): 2.4 * KERNEL_NS}
    assert time_range([little, little], known).slowdown == pytest.approx(2.5 / 2.4)


def test_a_device_without_a_record_is_held_against_its_own_windows() -> None:
    seen = process(*[window(2 * MS)] * 30, *[window(3 * MS, slowdown=1.5)] * 70)
    assert time_range([seen, seen], {}).calm_windows == 60


def test_a_system_that_tells_nothing_gives_the_range_that_the_processes_give() -> None:
    blind = ProcessTimes([2 * MS, 2 * MS], [LoopWindow(2, 4 * MS)])
    assert time_range([blind, blind], {}).lower_ns == int(2 * MS / (1 + LEAST_WIDTH))


def is_settled(*seen: tuple[LoopWindow, tuple[int, ...]]) -> bool:
    return settled(calm_minima([min(values) for _, values in seen], [one for one, _ in seen], BEST))


def test_a_loop_has_settled_once_enough_calm_windows_agree() -> None:
    calm = [window(2 * MS + 10_000 * at) for at in range(CALM_WINDOWS)]
    assert is_settled(*calm)
    assert not is_settled(*calm[1:])
    assert not is_settled(*calm[1:], window(1 * MS)), "one window alone may be luck"
    assert not is_settled(*calm[1:], window(2 * MS, slowdown=1.4))


windows = st.builds(
    window,
    st.integers(1, 10**10),
    slowdown=st.floats(0, 10),
    delay_ns=st.integers(0, 10**11),
    cpu_ns=st.integers(0, 10**11),
    throttled_ns=st.integers(0, 10**11),
)


@given(st.lists(st.lists(windows, min_size=1, max_size=4), min_size=1, max_size=4))
def test_the_ends_keep_their_order_and_the_upper_one_was_seen(
    all_windows: list[list[tuple[LoopWindow, tuple[int, ...]]]],
) -> None:
    processes = [process(*one) for one in all_windows]
    seen = found(*processes)
    assert 0 <= seen.lower_ns <= seen.upper_ns == min(min(one.values_ns) for one in processes)
    more = found(*processes, processes[0])
    assert more.upper_ns == seen.upper_ns
    assert more.calm_windows >= seen.calm_windows
