"""Tries to sign in, counted by address, at a clock of the test's own."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from dynolab.errors import RateLimited, SpecInvalid, Unauthorized, Unavailable
from dynolab.hub.store.concurrency_limit import ConcurrencyLimit
from dynolab.hub.usecases import sign_in_throttle as module
from dynolab.hub.usecases.sign_in_throttle import Credential, SignInThrottle, address


class Clock:
    at_s = 1000.0

    def __call__(self) -> float:
        return self.at_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def throttle(clock: Clock) -> Iterator[SignInThrottle]:
    before = address.set("192.0.2.1")
    yield SignInThrottle(clock)
    address.reset(before)


def attempt(
    throttle: SignInThrottle,
    credential: Credential = "password",
    who: str = "ana",
    *,
    error: Exception | None = None,
    place: str = "192.0.2.1",
) -> None:
    async def one() -> None:
        address.set(place)
        async with throttle.counted(credential, who):
            if error is not None:
                raise error

    asyncio.run(one())


def failures(throttle: SignInThrottle, credential: Credential = "password", place: str = "192.0.2.1") -> int:
    """How many names in a row may fail before the address is held up."""
    for number in range(1000):
        try:
            attempt(throttle, credential, f"nobody {number}", error=SpecInvalid("wrong"), place=place)
        except RateLimited:
            return number
        except SpecInvalid:
            pass
    raise AssertionError("there is no bound")


def test_failures_from_one_address_are_bounded_whatever_names_they_give(throttle: SignInThrottle, clock: Clock) -> None:
    assert failures(throttle) == 10
    clock.at_s += 3
    assert failures(throttle) == 1
    assert failures(throttle, place="192.0.2.2") == 10, "another address is not held up"
    assert failures(throttle, "secret") == 200, "tokens are counted apart"


def test_all_of_an_ipv6_network_counts_as_one_address(throttle: SignInThrottle) -> None:
    assert failures(throttle, place="2001:db8::1") == 10
    assert failures(throttle, place="2001:db8::2") == 0
    assert failures(throttle, place="2001:db8:0:1::1") == 10
    assert failures(throttle, place="a socket") == 10, "what is no address counts as one, too"
    assert failures(throttle, place="a socket") == 0


def test_who_got_in_lately_is_not_held_up_by_others_at_the_same_address(throttle: SignInThrottle, clock: Clock) -> None:
    attempt(throttle)
    assert failures(throttle) == 10
    attempt(throttle)
    with pytest.raises(RateLimited):
        attempt(throttle, who="bo")
    with pytest.raises(RateLimited):
        attempt(throttle, place="192.0.2.1", who="nobody 3")
    clock.at_s += module.GOOD_S + 60
    assert failures(throttle) == 10
    with pytest.raises(RateLimited):
        attempt(throttle)


def test_what_is_nobodys_mistake_counts_for_nobody(throttle: SignInThrottle) -> None:
    for error in (Unavailable("the database is away"), RateLimited("busy"), KeyError("bug")):
        for _ in range(20):
            with pytest.raises(type(error)):
                attempt(throttle, error=error)
    for _ in range(300):
        attempt(throttle, "secret", "good")
    with pytest.raises(Unauthorized):
        attempt(throttle, "secret", "bad", error=Unauthorized("no"))


def test_commands_of_the_operator_are_not_bounded(throttle: SignInThrottle) -> None:
    with pytest.raises(AssertionError, match="no bound"):
        failures(throttle, place="")


def test_the_good_are_remembered_up_to_a_number(throttle: SignInThrottle, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "GOOD_MOST", 3)
    for name in ("ana", "bo", "cy", "dee"):
        attempt(throttle, who=name)
    assert failures(throttle) == 10
    for name in ("bo", "cy", "dee"):
        attempt(throttle, who=name)
    with pytest.raises(RateLimited):
        attempt(throttle, who="ana")


def test_a_few_take_turns_a_few_wait_and_the_rest_is_sent_away() -> None:
    limit, inside, most = ConcurrencyLimit("busy", 2, 3), 0, 0

    async def one() -> None:
        nonlocal inside, most
        async with limit:
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
