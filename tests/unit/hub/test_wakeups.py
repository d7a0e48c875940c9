"""Who is woken by a notice: one of those who take, all of those who only watch, and nobody is forgotten."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("asyncpg")

from dynolab.hub.scheduling.long_polls import LeanEvent
from dynolab.hub.scheduling.wakeups import Wakeups


def test_one_notice_wakes_the_taker_that_has_waited_longest_and_all_who_watch() -> None:
    async def play() -> list[bool]:
        wakeups = Wakeups("")
        async with (
            wakeups.waiter(["q"], takes=True) as first,
            wakeups.waiter(["q"]) as watcher,
            wakeups.waiter(["q"], takes=True) as second,
        ):
            wakeups.wake(["q", "nobody's"])
            seen = [first.is_set(), second.is_set(), watcher.is_set()]
            wakeups.wake(["q"])
            return [*seen, second.is_set()]

    assert asyncio.run(play()) == [True, False, True, True]


def test_a_taker_that_leaves_without_having_looked_or_that_fails_passes_the_notice_on() -> None:
    async def play() -> list[bool]:
        wakeups = Wakeups("")
        seen = []
        async with wakeups.waiter(["q"], takes=True) as left:
            async with wakeups.waiter(["q"], takes=True) as right:
                left.set()
                right.set()
                left.clear()
            seen.append(left.is_set())  # right left with a notice that it had not heeded
            left.clear()
            with pytest.raises(RuntimeError):
                async with wakeups.waiter(["q"], takes=True):
                    raise RuntimeError("the look failed")
            seen.append(left.is_set())
            left.clear()
            async with wakeups.waiter(["q"], takes=True) as heeding:
                heeding.set()
                heeding.clear()
            seen.append(left.is_set())
        return seen

    assert asyncio.run(play()) == [True, True, False]


def test_the_end_of_the_hub_wakes_everybody() -> None:
    async def play() -> bool:
        wakeups = Wakeups("")
        async with wakeups.waiter(["a"], takes=True) as one, wakeups.waiter(["a"], takes=True) as two:
            wakeups.close()
            return one.is_set() and two.is_set() and wakeups.closed

    assert asyncio.run(play())


def test_all_who_wait_for_a_lean_event_go_on_and_one_that_is_broken_off_holds_up_no_other() -> None:
    async def play() -> list[bool]:
        event = LeanEvent()
        waits = [asyncio.create_task(event.wait()) for _ in range(3)]
        await asyncio.sleep(0)
        waits[1].cancel()
        event.set()
        event.clear()
        late = asyncio.create_task(event.wait())
        ended = await asyncio.gather(*waits, return_exceptions=True)
        seen = [ended[0] is True, isinstance(ended[1], asyncio.CancelledError), ended[2] is True, not late.done()]
        event.set()
        return [*seen, await late, await event.wait(), event.is_set()]

    assert all(asyncio.run(play()))
