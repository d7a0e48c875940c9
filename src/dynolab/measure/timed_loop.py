"""The timed loop in the worker: windows of iterations, with their witnesses read between them and never inside."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from dynolab.measure import window_witnesses
from dynolab.measure.clock import loop, now_ns
from dynolab.measure.time_range import calm_minima, settled
from dynolab.measure.window_witnesses import WindowWitnesses
from dynolab.spec.measurements import LoopWindow

WINDOW_NS = 20_000_000
"""Long beside its reading (0.3 to 0.5 ms), short beside the spells of disturbance that it is to miss: a competitor on the same
CPU takes turns of 3 to 4 ms, a busy neighbour on the same core goes on for milliseconds to minutes."""
HOPE_WITHIN_NS = 500_000_000
"""A loop on several threads that had no calm window by then will have none: the host moves a virtual CPU to another core seldom."""
WARMUP_FROM = window_witnesses.MANY
"""Iterations from which on a window has one more, for warm-up after the reading: in a window of fewer it would cost more than
an eighth of the time, and what the reading leaves in the caches is little beside them."""


@dataclass(frozen=True, slots=True)
class LoopBudget:
    """How long the loop goes on."""

    least: int
    """Iterations that are wanted in any case, time permitting."""
    most: int
    """More are made, up to these, until the loop has settled or ``settle_within_ns`` are over."""
    settle_within_ns: int
    deadline_ns: int


def timed_loop(
    run: Callable[[], object], durations: memoryview, budget: LoopBudget, expected_ns: int, best: Mapping[str, float]
) -> list[LoopWindow]:
    """Carry it out; the windows, whose iterations stand in ``durations`` one after the other. Times in ns."""
    witnesses, warmup = WindowWitnesses(), memoryview(bytearray(8)).cast("q")
    windows: list[LoopWindow] = []
    fastest_ns: list[int] = []
    done, begun_ns, threads = 0, now_ns(), 1
    try:
        before = witnesses.read()
        while _goes_on(windows, fastest_ns, done, budget, begun_ns, best):
            count = _length(expected_ns, budget, done)
            warms = count >= WARMUP_FROM
            if warms:
                loop(run, warmup, 1, budget.deadline_ns)
            made = loop(run, durations[done:], count, budget.deadline_ns)
            after = witnesses.read(threads)
            windows.append(window_witnesses.between(before, after, made, warmup[0] if warms else None))
            ordered = sorted(durations[done : done + made])
            fastest_ns.append(ordered[0])
            threads = max(threads, windows[-1].threads)
            expected_ns = ordered[made // 2]
            before, done = after, done + made
    finally:
        witnesses.close()
    return windows


def _length(expected_ns: int, budget: LoopBudget, done: int) -> int:
    """Iterations of the next window: one at least."""
    return max(1, min(round(WINDOW_NS / max(1, expected_ns)), budget.most - done))


def _goes_on(
    windows: list[LoopWindow],
    fastest_ns: list[int],
    done: int,
    budget: LoopBudget,
    begun_ns: int,
    best: Mapping[str, float],
) -> bool:
    """Whether there is to be another window."""
    now = now_ns()
    if not windows:
        return True
    if done >= budget.most or now >= budget.deadline_ns:
        return False
    if done < budget.least:
        return True
    if now - begun_ns >= budget.settle_within_ns:
        return False
    calm_ns = calm_minima(fastest_ns, windows, best)
    if not calm_ns and now - begun_ns >= HOPE_WITHIN_NS and max(window.threads for window in windows) > 1:
        return False
    return not settled(calm_ns)
