"""How many POSTs are taken, at a clock of the test's own."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dynolab.errors import RateLimited
from dynolab.hub.middleware.post_rate_limit import BURST_S, PostRateLimit
from dynolab.hub.usecases import rate_limit as buckets


class Clock:
    def __init__(self) -> None:
        self.now_s = 1e9

    def __call__(self) -> float:
        return self.now_s


def taken(limits: PostRateLimit, sender: str, count: int) -> int:
    """How many of so many POSTs at one instant are taken."""
    found = 0
    for _ in range(count):
        try:
            limits.count(sender)
            found += 1
        except RateLimited:
            pass
    return found


def test_two_seconds_worth_come_at_once_and_then_as_many_as_a_second_gives() -> None:
    clock = Clock()
    limits = PostRateLimit(100, clock)
    assert taken(limits, "a", 1000) == 200
    assert taken(limits, "b", 1000) == 200, "each sender has a bucket of its own"
    for _ in range(3):
        clock.now_s += 1
        assert taken(limits, "a", 1000) == 100
    clock.now_s += 3600
    assert taken(limits, "a", 1000) == 200, "no more for having been silent for long"


def test_less_than_one_a_second_is_one_at_a_time() -> None:
    clock = Clock()
    limits = PostRateLimit(0.2, clock)
    assert taken(limits, "a", 10) == 1
    clock.now_s += 4.9
    assert taken(limits, "a", 1) == 0
    clock.now_s += 0.1
    assert taken(limits, "a", 10) == 1


@given(st.floats(0.01, 1000), st.lists(st.floats(0, 20), max_size=50))
def test_who_waits_as_long_as_told_is_taken(posts_per_s: float, pauses_s: list[float]) -> None:
    clock = Clock()
    limits, start_s, count = PostRateLimit(posts_per_s, clock), clock.now_s, 0
    for pause_s in [*pauses_s, 0.0]:
        clock.now_s += pause_s
        try:
            limits.count("a")
            count += 1
        except RateLimited as error:
            after_s = error.details["retry_after_s"]
            assert isinstance(after_s, int)
            assert after_s >= 1
            clock.now_s += after_s
            limits.count("a")
            count += 1
    most = max(1.0, BURST_S * posts_per_s) + (clock.now_s - start_s) * posts_per_s
    assert count <= most + 1e-3


def test_senders_that_are_gone_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(buckets, "SENDERS_MOST", 100)
    clock = Clock()
    limits = PostRateLimit(1, clock)
    for number in range(1000):
        limits.count(f"sender {number}")
        clock.now_s += 0.001
    assert len(limits._rates._due) <= 100
