"""Passwords: kept as Argon2id hashes, checked off the event loop, guessed slowly."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING

from dynolab.errors import RateLimited
from dynolab.hub.store.concurrency_limit import ConcurrencyLimit

if TYPE_CHECKING:
    from argon2 import PasswordHasher

AT_ONCE, WAITING_MOST = 2, 6
"""A check takes 64 MiB and a core for 50 to 200 ms (RFC 9106, section 4, the second recommended option): nobody waits a second."""
FREE_FAILURES = 5
PAUSE_FIRST_S, PAUSE_MOST_S = 1.0, 300.0
FORGET_S = 3600.0
"""Failures older than this count no more."""
NAMES_MOST = 10_000


class Passwords:
    """Makes and checks hashes. Each replica counts failures for itself, and forgets them when it ends."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._limit, self._now = ConcurrencyLimit("the hub is busy with passwords", AT_ONCE, WAITING_MOST), now
        self._failures: dict[str, tuple[int, float]] = {}

    async def hash(self, password: str) -> str:
        """What is kept of a password; it holds its salt and its parameters."""
        async with self._limit:
            return await asyncio.to_thread(self._hasher.hash, _bytes(password))

    async def fits(self, name: str, kept: str | None, password: str) -> bool:
        """Whether it is the password whose hash is kept; with none kept the check takes as long, and fails.

        Raises :class:`RateLimited` when ``name`` failed too often: no password is looked at before its pause is over. A try
        counts as failed until it proves good, so that many at once gain nothing.
        """
        count = self._count(name)
        async with self._limit:
            good = await asyncio.to_thread(self._check, kept, password)
        if good:
            self._failures.pop(name, None)
        else:
            self._failures[name] = (count, self._now())
        return good

    def _count(self, name: str) -> int:
        now = self._now()
        failures, at = self._failures.get(name, (0, now))
        if now - at > FORGET_S:
            failures = 0
        pause_s = min(PAUSE_FIRST_S * 2.0 ** min(failures - FREE_FAILURES, 30), PAUSE_MOST_S)
        if failures >= FREE_FAILURES and now < at + pause_s:
            after_s = max(1, math.ceil(at + pause_s - now))
            raise RateLimited(
                f"too many wrong passwords for {name!r}",
                hint=f"wait {after_s} s; API tokens work meanwhile",
                details={"retry_after_s": after_s},
            )
        if len(self._failures) >= NAMES_MOST:
            self._forget(now)
        self._failures[name] = (failures + 1, now)
        return failures + 1

    def _forget(self, now: float) -> None:
        """Make room: those that count no more go, then the half that failed longest ago."""
        kept = {name: one for name, one in self._failures.items() if now - one[1] <= FORGET_S}
        newest = sorted(kept, key=lambda name: kept[name][1])[-NAMES_MOST // 2 :]
        self._failures = {name: kept[name] for name in newest}

    @cached_property
    def _hasher(self) -> PasswordHasher:
        from argon2 import PasswordHasher  # when it is first needed: most hubs know tokens only

        return PasswordHasher()

    @cached_property
    def _nobodys(self) -> str:
        return self._hasher.hash(b"nobody's")

    def _check(self, kept: str | None, password: str) -> bool:
        from argon2.exceptions import VerifyMismatchError

        try:
            self._hasher.verify(kept or self._nobodys, _bytes(password))
        except VerifyMismatchError:
            return False
        return kept is not None


def _bytes(password: str) -> bytes:
    return password.encode("utf-8", "surrogatepass")  # whatever JSON can say
