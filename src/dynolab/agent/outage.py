"""Tells of a hub that is away, without a line for every try."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable

TELL_FIRST_S, TELL_MOST_S = 60.0, 3600.0
"""After how long it is told again that the hub is away; each time twice as long."""
log = logging.getLogger(__name__)


class Outage:
    """A hub that is away is told of at once, then ever more rarely, and once when it is back. Threads may share one."""

    def __init__(self, now: Callable[[], float] = time.monotonic) -> None:
        self._now, self._lock = now, threading.Lock()
        self._since: float | None = None
        self._due = self._again_s = 0.0

    def failed(self, error: Exception) -> None:
        """It did not answer, or not as a hub does."""
        with self._lock:
            now = self._now()
            if self._since is None:
                log.warning("the hub cannot be reached (%s); it is tried until it answers", error)
                self._since, self._again_s = now, TELL_FIRST_S
            elif now >= self._due:
                log.warning("the hub has been away for %.0f min (%s)", (now - self._since) / 60, error)
                self._again_s = min(2 * self._again_s, TELL_MOST_S)
            else:
                return
            self._due = now + self._again_s

    def over(self) -> None:
        """It answered."""
        with self._lock:
            if self._since is not None:
                log.info("the hub is back after %.0f s", self._now() - self._since)
                self._since = None
