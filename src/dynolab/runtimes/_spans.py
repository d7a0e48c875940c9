"""Spans of time on several threads, and how much of them happens at the same time."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple


class Span(NamedTuple):
    """From ``start`` to ``end``, in any one unit, on a thread."""

    thread: object
    start: int
    end: int


def overlap(spans: Iterable[Span]) -> int:
    """Time that counts more than once when the time of each thread is added up: 0 where one thread works at a time.

    Spans of one thread lie inside each other or apart: what is inside another does not count again.
    """
    by_thread: dict[object, list[tuple[int, int]]] = {}
    for span in spans:
        by_thread.setdefault(span.thread, []).append((span.start, span.end))
    if len(by_thread) < 2:
        return 0
    return sum(map(_covered, by_thread.values())) - _covered([each for ends in by_thread.values() for each in ends])


def _covered(ends: list[tuple[int, int]]) -> int:
    """The length of the union."""
    covered, reached = 0, None
    for start, end in sorted(ends):
        begin = start if reached is None else max(start, reached)
        if end > begin:
            covered, reached = covered + end - begin, end
    return covered
