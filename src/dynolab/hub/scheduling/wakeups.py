"""Waking those who wait for a queue: one listening connection a replica, and nobody who polls."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from types import TracebackType

import asyncpg

from dynolab.hub.scheduling.long_polls import LeanEvent
from dynolab.hub.scheduling.queue import CHANNEL
from dynolab.hub.telemetry import metrics

RECONNECT_EVERY_S = 0.25
ALIVE_EVERY_S = 5.0
"""How often the listening connection is asked whether it still stands; one that was closed is known at once."""
ALIVE_WITHIN_S = 30.0
REMEMBERED, EMPTY_REMEMBERED = 20_000, 100_000
"""Queues of which it is remembered when they were notified last, and that they were found empty: each board has one of its own."""
SOON_S = 0.02
TOKENS = "token:"
"""What the names of revocations begin with (see :mod:`dynolab.hub.usecases.revoke_token`)."""
log = logging.getLogger(__name__)


class Wakeups:
    """Events by queue. A waiter registers *before* it looks into the queue, so that nothing slips in between.

    A notice wakes all who wait for it, but of those who take an entry out of a queue only the one that has waited
    longest: a notice is one entry. One that leaves without having looked, or whose look failed, passes it on.
    """

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: dict[str, dict[asyncio.Event, bool]] = defaultdict(dict)
        self._calls: dict[str, set[Callable[[], None]]] = defaultdict(set)
        self.closed = False
        self.leaving = False
        """The hub will end soon: balancers are told so, and nobody else is held up yet."""
        self.revision: int | None = None
        """Changes when a token is revoked, by whichever replica; None while that would not be heard."""
        self._revisions = itertools.count()
        self.notices = 0
        """How many have come; while it does not change nothing came into any queue, as far as this replica listens."""
        self._last: dict[str, int] = {}
        self._soon: set[str] = set()
        self._empty: dict[str, int] = {}
        """After how many notices each queue was found empty, by whichever agent looked."""
        self._heard_since: int | None = None
        """From which notice on all were heard, and are remembered; None while nobody listens."""

    def found_empty(self, queues: Iterable[str], after: int) -> None:
        """Remember that a look found nothing in the queues. ``after``: how many notices had come (:attr:`notices`) before it."""
        if len(self._empty) > EMPTY_REMEMBERED:
            self._empty.clear()
        self._empty.update(dict.fromkeys(queues, after))

    def are_empty(self, queues: Iterable[str]) -> bool:
        """Whether it is known that nothing is in the queues: each was found empty, and nothing came since."""
        since = self._heard_since
        return since is not None and all(
            (empty := self._empty.get(queue)) is not None and max(since, self._last.get(queue, 0)) <= empty
            for queue in queues
        )

    def close(self) -> None:
        """The hub ends: everybody who waits is to go."""
        self.closed = True
        self.wake_all()

    async def listen(self) -> None:
        """Wake those whose queue is notified, until cancelled; a lost connection is made again."""
        told = False
        while True:
            try:
                await self._listen_once()
                told = False
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                if not told:
                    log.warning("the listening connection is gone (%s); connecting again", error)
                told = True
            await asyncio.sleep(RECONNECT_EVERY_S)

    def waiter(self, queues: Sequence[str], *, takes: bool = False) -> Waiter:
        """An event that is set when something comes into one of the queues; whoever heeds it clears it.

        ``takes``: the waiter takes an entry when it is woken, so that others need not be woken for the same one.
        """
        return Waiter(self, queues, takes=takes)

    def enter(self, waiter: Waiter) -> None:
        """From now on it is woken."""
        for queue in waiter.queues:
            self._waiting[queue][waiter.event] = waiter.takes

    def leave(self, waiter: Waiter, *, failed: bool) -> None:
        """It is woken no more; a notice that it did not heed goes to the next one."""
        for queue in waiter.queues:
            self._waiting[queue].pop(waiter.event, None)
            if not self._waiting[queue]:
                del self._waiting[queue]
        if waiter.takes and (failed or waiter.event.is_set()):
            self.wake(waiter.queues)

    @contextmanager
    def calling(self, queue: str, call: Callable[[], None]) -> Iterator[None]:
        """Have ``call`` called with each notice of the queue, until the block ends."""
        self._calls[queue].add(call)
        try:
            yield
        finally:
            self._calls[queue].discard(call)
            if not self._calls[queue]:
                del self._calls[queue]

    def wake(self, queues: Iterable[str]) -> None:
        """Have those who wait for these queues look again: for each queue, one of those who take."""
        self.notices += 1
        if len(self._last) > REMEMBERED:
            self._last.clear()
            self._heard_since = None if self._heard_since is None else self.notices
        for queue in queues:
            self._last[queue] = self.notices
            for call in tuple(self._calls.get(queue, ())):
                call()
            one_takes = False
            for event, takes in self._waiting.get(queue, {}).items():
                if takes and (one_takes or event.is_set()):
                    continue
                event.set()
                one_takes = one_takes or takes

    def wake_soon(self, queues: Iterable[str]) -> None:
        """Have those who wait for these queues look again in a moment; once, however many ask for that meanwhile."""
        new = [queue for queue in queues if queue not in self._soon]
        if new:
            self._soon.update(new)
            asyncio.get_running_loop().call_later(SOON_S, self._wake_now, new)

    def _wake_now(self, queues: list[str]) -> None:
        self._soon.difference_update(queues)
        self.wake(queues)

    def wake_all(self) -> None:
        """Have everybody look again."""
        self.notices += 1
        self._heard_since = None if self._heard_since is None else self.notices
        for waiting in self._waiting.values():
            for event in waiting:
                event.set()
        for call in [call for calls in self._calls.values() for call in calls]:
            call()

    def _heard(self, queue: str) -> None:
        if queue.startswith(TOKENS):
            self.revision = next(self._revisions)
        self.wake([queue])

    async def _listen_once(self) -> None:
        connection = await asyncpg.connect(self._dsn)
        ended = asyncio.Event()
        connection.add_termination_listener(lambda _: ended.set())
        try:
            await connection.add_listener(CHANNEL, lambda *notified: self._heard(notified[3]))
            self.revision = next(self._revisions)
            metrics.LISTENING.set(1)
            self._heard_since = self.notices
            self.wake_all()  # what was notified while nobody listened
            while not ended.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(ALIVE_EVERY_S):  # wait_for of Python 3.11 may lose a cancellation
                        await ended.wait()
                    break
                await connection.execute("SELECT 1", timeout=ALIVE_WITHIN_S)
        finally:
            self.revision = self._heard_since = None
            metrics.LISTENING.set(0)
            with suppress(Exception):
                await connection.close(timeout=1)


class Waiter:
    """Who waits, until the block ends; a generator in its place would take five times its memory, for as long as an agent waits."""

    __slots__ = ("_wakeups", "event", "queues", "takes")

    def __init__(self, wakeups: Wakeups, queues: Sequence[str], *, takes: bool) -> None:
        self._wakeups, self.queues, self.takes = wakeups, queues, takes
        self.event = LeanEvent()

    async def __aenter__(self) -> asyncio.Event:
        self._wakeups.enter(self)
        return self.event

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None
    ) -> None:
        self._wakeups.leave(self, failed=kind is not None)
