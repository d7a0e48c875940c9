"""A rate limit for each sender: how often somebody may do something. Each replica counts for itself.

Written here for want of a library that fits: they start threads for their counters in memory (limits), or have the
caller wait instead of telling how long (aiolimiter).
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable

SENDERS_MOST = 10_000


class RateLimit:
    """The generic cell rate algorithm (ITU-T I.371): one instant is kept for each sender.

    ``burst_s``: so many seconds' worth may come at once from one who has been silent.
    """

    def __init__(self, per_s: float, burst_s: float, now: Callable[[], float] = time.monotonic) -> None:
        self.per_s = per_s
        self._gap_s, self._burst_s, self._now = 1 / per_s, max(burst_s, 1 / per_s), now
        self._due: dict[bytes, float] = {}

    def count(self, sender: str) -> int:
        """Count one and give 0; or, when it is one too many, the whole seconds after which one is taken again."""
        key, now = _key(sender), self._now()
        due = max(self._due.get(key, now), now) + self._gap_s
        late_s = due - now - self._burst_s
        if late_s > 1e-6:  # the clock's own rounding is no lateness
            return max(1, math.ceil(late_s))
        if len(self._due) >= SENDERS_MOST:
            self._forget(now)
        self._due[key] = due
        return 0

    def give_back(self, sender: str) -> None:
        """Undo one count."""
        key = _key(sender)
        if key in self._due:
            self._due[key] -= self._gap_s

    def _forget(self, now: float) -> None:
        """Drop those whose bucket is full again, and all when that is not enough: memory is bounded."""
        self._due = {key: due for key, due in self._due.items() if due > now}
        if len(self._due) >= SENDERS_MOST:
            self._due.clear()


def _key(sender: str) -> bytes:
    return hashlib.sha256(sender.encode("utf-8", "replace")).digest()
