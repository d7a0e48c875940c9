"""How many POSTs a second are taken from one token."""

from __future__ import annotations

import time
from collections.abc import Callable

from dynolab.errors import RateLimited
from dynolab.hub.usecases.rate_limit import RateLimit

BURST_S = 2.0


class PostRateLimit:
    """A bucket for each sender."""

    def __init__(self, posts_per_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._rates = RateLimit(posts_per_s, BURST_S, now)

    def count(self, sender: str) -> None:
        """Count one POST. Raises :class:`RateLimited`, with the whole seconds after which one is taken again."""
        after_s, per_s = self._rates.count(sender), self._rates.per_s
        if after_s:
            raise RateLimited(
                f"more than {per_s:g} POSTs a second came with one token",
                hint=f"wait {after_s} s; the operator may raise DYNOLAB_POSTS_PER_S",
                details={"retry_after_s": after_s, "posts_per_s": per_s},
            )
