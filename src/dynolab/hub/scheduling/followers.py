"""Following what changes without a notice: one look a second for all that is watched, however many watch it."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping
from contextlib import asynccontextmanager

from dynolab.errors import RateLimited

LOOK_EVERY_S = 1.0
WATCHED_MOST = 200
"""By one account: each is a connection, and is asked every 15 s whether it may go on."""
RETRY_AFTER_S = 15
Look = Callable[[Collection[str]], Awaitable[Mapping[str, object]]]
log = logging.getLogger(__name__)


class Watcher:
    """One who watches: ``seen`` is what was found last, None for what is not there; ``changed`` is set with each change."""

    def __init__(self) -> None:
        self.seen: object = None
        self.changed = asyncio.Event()


class Followers:
    """Who watches what. Nothing is asked while nobody watches."""

    def __init__(self) -> None:
        self._watching: dict[str, set[Watcher]] = defaultdict(set)
        self._counts: Counter[int] = Counter()
        self._task: asyncio.Task[None] | None = None

    def check(self, who: int) -> None:
        """Raise :class:`RateLimited` while ``who`` watches as much as one may."""
        if self._counts[who] >= WATCHED_MOST:
            raise RateLimited(
                f"you follow {WATCHED_MOST} jobs at once, which is the most that one account may",
                hint="wait for one of them, or ask for the job itself from time to time",
                details={"retry_after_s": RETRY_AFTER_S},
            )

    @asynccontextmanager
    async def watch(self, target: str, look: Look, who: int) -> AsyncIterator[Watcher]:
        """A watcher of ``target`` for ``who``; ``look`` finds what is to be known of several targets at once."""
        self._counts[who] += 1
        try:
            async with self._watched(target, look) as watcher:
                yield watcher
        finally:
            self._counts[who] -= 1
            if not self._counts[who]:
                del self._counts[who]

    @asynccontextmanager
    async def _watched(self, target: str, look: Look) -> AsyncIterator[Watcher]:
        watcher = Watcher()
        watcher.seen = (await look([target])).get(target)
        watcher.changed.set()
        self._watching[target].add(watcher)
        if self._task is None or self._task.done():
            self._task = asyncio.create_task(self._follow(look))
        try:
            yield watcher
        finally:
            self._watching[target].discard(watcher)
            if not self._watching[target]:
                del self._watching[target]

    async def _follow(self, look: Look) -> None:
        while self._watching:
            await asyncio.sleep(LOOK_EVERY_S)
            targets = list(self._watching)
            if not targets:
                return
            try:
                found = await look(targets)
            except Exception as error:  # noqa: BLE001 - whatever the driver raises while the database is away: the next look tries again
                log.warning("those who follow %d jobs are kept waiting: %s", len(targets), error)
                continue
            for target in targets:
                for watcher in self._watching.get(target, ()):
                    if watcher.seen != found.get(target):
                        watcher.seen = found.get(target)
                        watcher.changed.set()
