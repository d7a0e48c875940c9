"""How many POSTs a second are taken from one token. Each replica counts for itself.

Written here for want of a library that fits: they start threads for their counters in memory (limits), or have the
caller wait instead of telling how long (aiolimiter).
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable

from dynolab.errors import RateLimited

BURST_S = 2.0
"""So many seconds' worth of POSTs may come at once from one who has been silent."""
SENDERS_MOST = 10_000


class PostRates:
    """A bucket of tokens for each sender, as the generic cell rate algorithm (ITU-T I.371): one instant for each is kept."""

    def __init__(self, posts_per_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self._gap_s, self._burst_s, self._now = 1 / posts_per_s, max(BURST_S, 1 / posts_per_s), now
        self._rate = posts_per_s
        self._due: dict[bytes, float] = {}

    def count(self, sender: str) -> None:
        """Count one POST. Raises :class:`RateLimited`, with the whole seconds after which one is taken again."""
        key, now = hashlib.sha256(sender.encode("utf-8", "replace")).digest(), self._now()
        due = max(self._due.get(key, now), now) + self._gap_s
        late_s = due - now - self._burst_s
        if late_s > 1e-6:  # the clock's own rounding is no lateness
            after_s = max(1, math.ceil(late_s))
            raise RateLimited(
                f"more than {self._rate:g} POSTs a second came with one token",
                hint=f"wait {after_s} s; the operator may raise DYNOLAB_POSTS_PER_S",
                details={"retry_after_s": after_s, "posts_per_s": self._rate},
            )
        if len(self._due) >= SENDERS_MOST:
            self._forget(now)
        self._due[key] = due

    def _forget(self, now: float) -> None:
        """Drop those whose bucket is full again, and all when that is not enough: memory is bounded."""
        self._due = {key: due for key, due in self._due.items() if due > now}
        if len(self._due) >= SENDERS_MOST:
            self._due.clear()
