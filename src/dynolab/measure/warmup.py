"""Warm-up before the loop: until the running median settles, within bounds."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from dynolab.measure.clock import loop, now_ns

WARMUP_WINDOW = 5
"""Iterations in each running median: two outliers in a window do not move it."""
WARMUP_TOLERANCE = 0.05
"""The running median has settled when two neighbouring windows differ by no more than this share."""
WARMUP_MAX = 1000
"""Iterations after which warm-up ends, settled or not: some models never settle (Barrett et al., Virtual Machine Warmup
Blows Hot and Cold, OOPSLA 2017). It is large because it binds fast models only; the others meet the next bound first."""
WARMUP_MAX_NS = 500_000_000
"""Warm-up time after which it ends too: caches and clocks take far less, and slow models need their budget for timing."""


def warm_up(run: Callable[[], object], durations: memoryview, limit_ns: int) -> int:
    """Run until the running median settles, within bounds; how many runs that took."""
    end = now_ns() + min(WARMUP_MAX_NS, limit_ns)
    done = 0
    for batch in (1, 2, 2, 5, 10, 20, 40, 80, 160, 320, 640):
        count = min(batch, len(durations) - done)
        done += loop(run, durations[done:], count, end)
        if now_ns() >= end or settled(tuple(durations[:done])):
            break
    return done


def settled(warmup_ns: Sequence[int]) -> bool:
    """Whether warm-up is over, given its times so far, in order (nanoseconds).

    It is when the running median (over :data:`WARMUP_WINDOW` iterations) has settled: the last window and the one before
    differ by at most :data:`WARMUP_TOLERANCE` of the earlier one. It is in any case after :data:`WARMUP_MAX` iterations
    or :data:`WARMUP_MAX_NS`. The rule is dynolab's own; its thresholds are the named constants.
    """
    if len(warmup_ns) >= WARMUP_MAX or sum(warmup_ns) >= WARMUP_MAX_NS:
        return True
    if len(warmup_ns) < 2 * WARMUP_WINDOW:
        return False
    before = _middle(warmup_ns[-2 * WARMUP_WINDOW : -WARMUP_WINDOW])
    return abs(_middle(warmup_ns[-WARMUP_WINDOW:]) - before) <= WARMUP_TOLERANCE * before


def _middle(values: Sequence[int]) -> int:
    """The median of a window, whose length is odd."""
    return sorted(values)[len(values) // 2]
