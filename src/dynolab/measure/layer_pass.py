"""The layer pass in the worker: which windows of its iterations were calm."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from dynolab.measure import time_range, window_witnesses
from dynolab.measure.clock import now_ns
from dynolab.measure.timed_loop import WINDOW_NS
from dynolab.measure.window_witnesses import WindowEdge, WindowWitnesses
from dynolab.spec.measurements import LoopWindow

T = TypeVar("T")
WINDOW_ITERATIONS = 3
"""A window of the layer pass has so many at least: the first is warm-up. While witnesses are read the runtime's other threads go
to sleep, and beside a hog that holds their CPU the next parallel layer waits for them, in every window the same one."""


class CalmWatch:
    """A :class:`dynolab.runtimes.base.Watch` that reads the witnesses of the timed loop between windows of iterations.

    ``best``: the reference kernel's best times on this device.
    """

    def __init__(self, best: Mapping[str, float]) -> None:
        self._best = best
        self._witnesses = WindowWitnesses()
        self._open: WindowEdge | None = None
        self._count = 0
        self._windows: list[LoopWindow] = []
        self._threads = 1

    def __call__(self, run: Callable[[], T]) -> T:
        """What ``run`` returns; between two runs nothing is read until the window is full."""
        if self._open is None:
            self._open = self._witnesses.read(self._threads)
        value = run()
        self._count += 1
        if self._count >= WINDOW_ITERATIONS and now_ns() - self._open.at_ns >= WINDOW_NS:
            self._end_window()
        return value

    def close(self) -> None:
        """End the window, if one is open."""
        self._end_window()

    def calm(self) -> list[bool | None]:
        """For each iteration of the windows that are closed, in order, whether its window was calm; None: it was warm-up."""
        judged = zip(self._windows, time_range.calm_ones(self._windows, self._best), strict=True)
        return [
            None if number == 0 and window.count > 1 else calm
            for window, calm in judged
            for number in range(window.count)
        ]

    def _end_window(self) -> None:
        if self._open is not None:
            after = self._witnesses.read(self._threads)
            self._windows.append(window_witnesses.between(self._open, after, self._count, None))
            self._threads = max(self._threads, self._windows[-1].threads)
            self._open, self._count = None, 0
