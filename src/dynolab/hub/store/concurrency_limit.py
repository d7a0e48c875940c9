"""A limit on costly work: a few at a time, a few more wait, and the rest is told to come again."""

from __future__ import annotations

import asyncio
from types import TracebackType

from dynolab.errors import RateLimited


class ConcurrencyLimit:
    """``async with limit``: at most ``at_once`` are inside, and ``waiting_most`` wait for that.

    Raises :class:`RateLimited` with the message ``busy``.
    """

    def __init__(self, busy: str, at_once: int, waiting_most: int) -> None:
        self._busy, self._most = busy, at_once + waiting_most
        self._free, self._here = asyncio.Semaphore(at_once), 0

    async def __aenter__(self) -> None:
        if self._here >= self._most:
            raise RateLimited(self._busy, hint="try again in a second", details={"retry_after_s": 1})
        self._here += 1
        try:
            await self._free.acquire()
        except BaseException:
            self._here -= 1
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._free.release()
        self._here -= 1
