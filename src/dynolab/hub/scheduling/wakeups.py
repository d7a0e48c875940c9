"""Waking those who wait for a queue: one listening connection a replica, and nobody who polls."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager, suppress

import asyncpg

from dynolab.hub.scheduling.queue import CHANNEL

RECONNECT_EVERY_S = 0.5
ALIVE_EVERY_S = 5.0
"""How often the listening connection is asked whether it still stands."""
log = logging.getLogger(__name__)


class Wakeups:
    """Events by queue. A waiter registers *before* it looks into the queue, so that nothing slips in between."""

    def __init__(self, dsn: str) -> None:
        self._dsn = dsn
        self._waiting: dict[str, set[asyncio.Event]] = defaultdict(set)
        self.closed = False

    def close(self) -> None:
        """The hub ends: everybody who waits is to go."""
        self.closed = True
        self.wake(list(self._waiting))

    async def listen(self) -> None:
        """Wake those whose queue is notified, until cancelled; a lost connection is made again."""
        while True:
            try:
                await self._listen_once()
            except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
                log.warning("the listening connection is gone (%s); connecting again", error)
            await asyncio.sleep(RECONNECT_EVERY_S)

    @asynccontextmanager
    async def waiter(self, queues: Sequence[str]) -> AsyncIterator[asyncio.Event]:
        """An event that is set whenever something comes into one of the queues."""
        event = asyncio.Event()
        for queue in queues:
            self._waiting[queue].add(event)
        try:
            yield event
        finally:
            for queue in queues:
                self._waiting[queue].discard(event)
                if not self._waiting[queue]:
                    del self._waiting[queue]

    def wake(self, queues: Iterable[str]) -> None:
        """Have all who wait for these queues look again."""
        for queue in queues:
            for event in self._waiting.get(queue, ()):
                event.set()

    async def _listen_once(self) -> None:
        connection = await asyncpg.connect(self._dsn)
        try:
            await connection.add_listener(CHANNEL, lambda *notified: self.wake([notified[3]]))
            self.wake(list(self._waiting))  # what was notified while nobody listened
            while True:
                await asyncio.sleep(ALIVE_EVERY_S)
                await connection.execute("SELECT 1")
        finally:
            with suppress(Exception):
                await connection.close(timeout=1)
