"""Tries to sign in, counted by address, at a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from dynolab.errors import RateLimited, SpecInvalid, Unauthorized, Unavailable
from dynolab.hub.store.turns import Turns
from dynolab.hub.usecases import tries as module
from dynolab.hub.usecases.tries import Tries, Way, address


class Clock:
    at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def tries(clock: Clock) -> Iterator[Tries]:
    before = address.set("192.0.2.1")
    yield Tries(clock)
    address.reset(before)


def attempt(
    tries: Tries, way: Way = "password", who: str = "ana", *, error: Exception | None = None, place: str = "192.0.2.1"
) -> None:
    async def one() -> None:
        address.set(place)
        async with tries.one(way, who):
            if error is not None:
                raise error

    asyncio.run(one())


def failures(tries: Tries, way: Way = "password", place: str = "192.0.2.1") -> int:
    """How many names in a row may fail before the address is held up."""
    for number in range(1000):
        try:
            attempt(tries, way, f"nobody {number}", error=SpecInvalid("wrong"), place=place)
        except RateLimited:
            return number
        except SpecInvalid:
            pass
    raise AssertionError("there is no bound")


def test_failures_from_one_address_are_bounded_whatever_names_they_give(tries: Tries, clock: Clock) -> None:
    assert failures(tries) == 10
    clock.at_s += 3
    assert failures(tries) == 1
    assert failures(tries, place="192.0.2.2") == 10, "another address is not held up"
    assert failures(tries, "secret") == 200, "tokens are counted apart"


def test_all_of_an_ipv6_network_counts_as_one_address(tries: Tries) -> None:
    assert failures(tries, place="2001:db8::1") == 10
    assert failures(tries, place="2001:db8::2") == 0
    assert failures(tries, place="2001:db8:0:1::1") == 10
    assert failures(tries, place="a socket") == 10, "what is no address counts as one, too"
    assert failures(tries, place="a socket") == 0


def test_who_got_in_lately_is_not_held_up_by_others_at_the_same_address(tries: Tries, clock: Clock) -> None:
    attempt(tries)
    assert failures(tries) == 10
    attempt(tries)
    with pytest.raises(RateLimited):
        attempt(tries, who="bo")
    with pytest.raises(RateLimited):
        attempt(tries, place="192.0.2.1", who="nobody 3")
    clock.at_s += module.GOOD_S + 60
    assert failures(tries) == 10
    with pytest.raises(RateLimited):
        attempt(tries)


def test_what_is_nobodys_mistake_counts_for_nobody(tries: Tries) -> None:
    for error in (Unavailable("the database is away"), RateLimited("busy"), KeyError("bug")):
        for _ in range(20):
            with pytest.raises(type(error)):
                attempt(tries, error=error)
    for _ in range(300):
        attempt(tries, "secret", "good")
    with pytest.raises(Unauthorized):
        attempt(tries, "secret", "bad", error=Unauthorized("no"))


def test_commands_of_the_operator_are_not_bounded(tries: Tries) -> None:
    with pytest.raises(AssertionError, match="no bound"):
        failures(tries, place="")


def test_the_good_are_remembered_up_to_a_number(tries: Tries, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GOOD_MOST", 3)
    for name in ("ana", "bo", "cy", "dee"):
        attempt(tries, who=name)
    assert failures(tries) == 10
    for name in ("bo", "cy", "dee"):
        attempt(tries, who=name)
    with pytest.raises(RateLimited):
        attempt(tries, who="ana")


def test_a_few_take_turns_a_few_wait_and_the_rest_is_sent_away() -> None:
    turns, inside, most = Turns("busy", 2, 3), 0, 0

    async def one() -> None:
        nonlocal inside, most
        async with turns:
            inside += 1
            most = max(most, inside)
            try:
                await asyncio.sleep(0)
            finally:
                inside -= 1

    async def all_of_them() -> list[object]:
        found = await asyncio.gather(*(one() for _ in range(9)), return_exceptions=True)
        cut = asyncio.create_task(one())
        await asyncio.sleep(0)
        cut.cancel()
        return [*found, *await asyncio.gather(*(one() for _ in range(5)), return_exceptions=True)]

    found = asyncio.run(all_of_them())
    assert most == 2
    assert found[:5] == [None] * 5
    assert all(isinstance(refused, RateLimited) for refused in found[5:9])
    assert found[9:] == [None] * 5, "who gave up waits no more"
