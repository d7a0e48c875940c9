"""Passwords: what is kept, and how guessing slows down; the clock is this test's own."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("argon2")

from dynolab.errors import RateLimited
from dynolab.hub.store import passwords as module
from dynolab.hub.store.passwords import FORGET_S, FREE_FAILURES, PAUSE_MOST_S, Passwords


class Clock:
    def __init__(self) -> None:
        self.at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def passwords(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> Passwords:
    """With a hash that costs little: what is tested is the counting."""
    from argon2 import PasswordHasher

    found = Passwords(clock)
    monkeypatch.setitem(vars(found), "_hasher", PasswordHasher(time_cost=1, memory_cost=8, parallelism=1))
    return found


def fits(passwords: Passwords, name: str, kept: str | None, password: str) -> bool:
    return asyncio.run(passwords.fits(name, kept, password))


def pause_s(passwords: Passwords, name: str = "ana") -> int:
    with pytest.raises(RateLimited) as caught:
        fits(passwords, name, None, "wrong")
    return int(str(caught.value.details["retry_after_s"]))


def test_a_password_fits_its_own_hash_and_no_other(passwords: Passwords) -> None:
    first, second = (asyncio.run(passwords.hash("a pass phrase")) for _ in range(2))
    assert first != second, "each has its salt"
    assert fits(passwords, "ana", first, "a pass phrase")
    assert not fits(passwords, "ana", first, "another phrase")
    assert not fits(passwords, "ana", None, "nobody's"), "what stands for nobody opens nothing"
    odd = asyncio.run(passwords.hash("half\ud800"))
    assert fits(passwords, "ana", odd, "half\ud800")


def test_pauses_double_up_to_a_bound_and_are_forgotten(passwords: Passwords, clock: Clock) -> None:
    seen = []
    for number in range(FREE_FAILURES + 12):
        if number >= FREE_FAILURES:
            seen.append(pause_s(passwords))
            clock.at_s += seen[-1]
        assert not fits(passwords, "ana", None, "wrong")
    assert seen == [min(2**step, int(PAUSE_MOST_S)) for step in range(12)]
    assert pause_s(passwords) == int(PAUSE_MOST_S)
    clock.at_s += FORGET_S + 1
    for _ in range(FREE_FAILURES):
        assert not fits(passwords, "ana", None, "wrong")
    assert pause_s(passwords) == 1


def test_a_good_password_begins_anew_and_others_are_not_slowed(passwords: Passwords) -> None:
    kept = asyncio.run(passwords.hash("a pass phrase"))
    for _ in range(3):
        for _ in range(FREE_FAILURES - 1):
            assert not fits(passwords, "ana", kept, "wrong")
        assert fits(passwords, "ana", kept, "a pass phrase")
    for _ in range(FREE_FAILURES):
        fits(passwords, "ana", kept, "wrong")
    assert pause_s(passwords) >= 1
    assert fits(passwords, "bo", kept, "a pass phrase")


def test_many_tries_at_once_are_no_way_around_it(passwords: Passwords) -> None:
    async def together() -> list[object]:
        tries = (passwords.fits("ana", None, "wrong") for _ in range(20))
        return list(await asyncio.gather(*tries, return_exceptions=True))

    found = asyncio.run(together())
    assert found.count(False) == FREE_FAILURES
    assert sum(isinstance(one, RateLimited) for one in found) == 20 - FREE_FAILURES


def test_names_are_bounded_and_the_latest_are_kept(
    passwords: Passwords, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "NAMES_MOST", 10)
    for number in range(25):
        clock.at_s += 1
        for _ in range(FREE_FAILURES):
            fits(passwords, f"name {number}", None, "wrong")
    assert pause_s(passwords, "name 24") >= 1
    assert not fits(passwords, "name 0", None, "wrong"), "forgotten"
