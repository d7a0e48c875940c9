"""The limit on failed sign-ins, by password, token, cookie or link: by address, and of look-ups at once in all."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, nullcontext
from contextvars import ContextVar
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Literal

from dynolab.errors import RateLimited, UserError
from dynolab.hub.store.concurrency_limit import ConcurrencyLimit
from dynolab.hub.usecases.rate_limit import RateLimit

address: ContextVar[str] = ContextVar("address", default="")
"""Where the request came from; empty: from this process itself, such as a command, which is not bounded."""
Credential = Literal["password", "secret"]
FAILURES_PER_S: dict[Credential, tuple[float, float]] = {"password": (1 / 3, 30.0), "secret": (20.0, 10.0)}
"""How many fail in a second, and in how many seconds' worth at once: 10 passwords and one more every 3 s (each costs 0.2 s of a
core); 200 tokens, cookies and links and 20 more a second (each costs a question to the database; guessing them is hopeless)."""
LOOKUPS_AT_ONCE, LOOKUPS_WAITING = 4, 60
"""Of strangers' tokens, in all: the database has ten connections, and those who are known need them."""
GOOD_MOST, GOOD_S = 10_000, 3600.0
ADDRESSES_MOST = 1_000


class LeftOut:
    """Counts, by address, refused tries that leave no row of their own in the audit log; bounded."""

    def __init__(self) -> None:
        self._counts: dict[str, int] = {}

    def count(self, address: str) -> None:
        """One more. Of more than :data:`ADDRESSES_MOST` addresses, those that come last count together, as an empty one."""
        address = address if address in self._counts or len(self._counts) < ADDRESSES_MOST else ""
        self._counts[address] = self._counts.get(address, 0) + 1

    def taken(self) -> dict[str, int]:
        """All counts; from now on they begin anew."""
        counts, self._counts = self._counts, {}
        return counts

    def put_back(self, counts: dict[str, int]) -> None:
        """Undo :meth:`taken`."""
        for address, count in counts.items():
            self._counts[address] = self._counts.get(address, 0) + count


class SignInThrottle:
    """Counts failures by address. Others that fail there do not hold up a secret that was good lately, nor whose password was."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self.left_out = LeftOut()
        """Tries that were refused before any secret was looked at."""
        self._rates = {
            credential: RateLimit(per_s, burst_s, now) for credential, (per_s, burst_s) in FAILURES_PER_S.items()
        }
        self._lookups = ConcurrencyLimit("the hub is busy with sign-ins", LOOKUPS_AT_ONCE, LOOKUPS_WAITING)
        self._good: dict[str, float] = {}
        self._now = now

    @asynccontextmanager
    async def counted(self, credential: Credential, who: str) -> AsyncIterator[None]:
        """A try: a failure unless the block ends without an error. ``who``: the secret's digest, or the account's name.

        Raises :class:`RateLimited` before anything is looked at.
        """
        place = _place(address.get())
        good = who if credential == "secret" else f"{place} {who}"
        known = self._now() - self._good.get(good, -GOOD_S) < GOOD_S
        if not known and place:
            self._count(credential, place)
        try:
            async with nullcontext() if known or credential == "password" else self._lookups:  # passwords: at the hash
                yield
        except BaseException as error:
            if place and isinstance(error, RateLimited):
                self.left_out.count(place)
            if not known and place and (isinstance(error, RateLimited) or not isinstance(error, UserError)):
                self._rates[credential].give_back(place)  # nothing was found wrong
            raise
        if not known and place:
            self._rates[credential].give_back(place)
        self._remember(good)

    def _count(self, credential: Credential, place: str) -> None:
        after_s = self._rates[credential].count(place)
        if after_s:
            self.left_out.count(place)
            raise RateLimited(
                f"too many tries to sign in failed from {place}",
                hint=f"wait {after_s} s",
                details={"retry_after_s": after_s},
            )

    def _remember(self, good: str) -> None:
        self._good.pop(good, None)  # the last one in is the last to be forgotten
        self._good[good] = self._now()
        if len(self._good) > GOOD_MOST:
            del self._good[next(iter(self._good))]


def _place(text: str) -> str:
    """Who counts as one: an address, or the network of an IPv6 address: a subscriber is given all of it (RFC 6177)."""
    try:
        found = ip_address(text.partition("%")[0])
    except ValueError:
        return text
    return str(ip_network((found, 64), strict=False)) if isinstance(found, IPv6Address) else str(found)
