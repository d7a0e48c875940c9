"""How much of the time of several threads is at the same time."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.runtimes._spans import Span, overlap

CASES = (
    ([(1, 0, 100), (2, 10, 60)], 50),
    ([(1, 0, 100), (1, 10, 60)], 0),
    ([(1, 0, 100), (2, 10, 60), (2, 20, 30)], 50),
    ([(1, 0, 100), (2, 10, 60), (3, 50, 120)], 100),
    ([(1, 0, 10), (2, 10, 20)], 0),
    ([], 0),
)


@pytest.mark.parametrize(("spans", "expected"), CASES)
def test_known_overlaps(spans: list[tuple[int, int, int]], expected: int) -> None:
    assert overlap(Span(*span) for span in spans) == expected


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 50), st.integers(0, 20)), max_size=12))
def test_it_is_what_a_count_of_every_unit_gives(found: list[tuple[int, int, int]]) -> None:
    spans = [Span(thread, start, start + length) for thread, start, length in found]
    busy = [{span.thread for span in spans if span.start <= at < span.end} for at in range(80)]
    assert overlap(spans) == sum(max(0, len(threads) - 1) for threads in busy)
