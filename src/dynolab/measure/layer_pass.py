"""The layer pass in the worker: which windows of its iterations were calm."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from dynolab.measure.clock import now_ns
from dynolab.measure.readings.base import Reading, Unavailable
from dynolab.measure.readings.run_queue import plugin as run_queue

WINDOW_NS = 20_000_000
"""Iterations between two looks at the witnesses: a look costs some 50 us, and a competitor's turn takes 3 ms and more."""
CALM_DELAY_SHARE = 0.05
"""Of a window: what all threads together may wait for a CPU in it. Medians bear that much in a few iterations."""

T = TypeVar("T")


class CalmWatch:
    """A :class:`dynolab.runtimes.base.Watch` that reads how long this process's threads wait for a CPU."""

    def __init__(self, reading: Reading = run_queue) -> None:
        self._reading = reading
        self._open: tuple[float | None, int] | None = None
        self._count = 0
        self.calm: list[bool] = []
        """For each iteration of the windows that are closed, in order, whether its window was calm."""

    def __call__(self, run: Callable[[], T]) -> T:
        """What ``run`` returns; between two runs nothing is read until the window is full."""
        if self._open is None:
            self._open = self._delay_ns(), now_ns()
        value = run()
        self._count += 1
        if now_ns() - self._open[1] >= WINDOW_NS:
            self.close()
        return value

    def close(self) -> None:
        """End the window, if one is open."""
        if self._open is None:
            return
        (before, start), wall = self._open, now_ns()
        after = self._delay_ns()
        self.calm += [is_calm(before, after, wall - start)] * self._count
        self._open, self._count = None, 0

    def _delay_ns(self) -> float | None:
        try:
            return self._reading.read()["delay_ns"]
        except Unavailable:
            return None


def is_calm(before_ns: float | None, after_ns: float | None, wall_ns: int) -> bool:
    """Whether threads waited for no more than their share of a window; what cannot be read is held against nobody."""
    return before_ns is None or after_ns is None or after_ns - before_ns <= CALM_DELAY_SHARE * wall_ns
