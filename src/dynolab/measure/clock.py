"""The clock of all measurements, and the timed loop."""

from __future__ import annotations

import time
from collections.abc import Callable

now_ns = time.perf_counter_ns
"""Monotonic nanoseconds. On Linux this is CLOCK_MONOTONIC: one time for all processes of the machine."""


def loop(run: Callable[[], object], durations: memoryview, count: int, deadline_ns: int) -> int:
    """Call ``run`` up to ``count`` times, at least once, until ``deadline_ns``; how many calls were made.

    Each duration in ns is stored into ``durations`` (format ``q``). Between the two readings of the clock stands the
    call and nothing else.
    """
    clock = time.perf_counter_ns
    for index in range(count):
        before = clock()
        run()
        after = clock()
        durations[index] = after - before
        if after >= deadline_ns:
            return index + 1
    return count
