"""A board that is hotter than it usually is before a job gets a while to cool down."""

from __future__ import annotations

import time
from collections.abc import Callable

from dynolab.agent.seconds import seconds
from dynolab.measure.probe import celsius

WITHIN, WITHIN_S = "DYNOLAB_AGENT_COOL_WITHIN_S", 60.0
"""The longest that a board waits before a job; 0: it does not. A heat sink of a small board cools by half within 20 s to 60 s."""


class Cooling:
    """What is known of the board's temperature. Where nothing tells it, or what is usual is not known, nothing is waited for."""

    def __init__(
        self, *, read: Callable[[], float | None] = celsius, now: Callable[[], float] = time.monotonic
    ) -> None:
        self._read, self._now = read, now
        self._within_s = seconds(WITHIN, WITHIN_S)
        self._hot_since: float | None = None

    @property
    def within_s(self) -> float:
        """The longest that it waits."""
        return self._within_s

    def unfit(self, limit: float | None) -> str:
        """Why no job is to be taken now; empty: the board is cool, or has waited long enough. ``limit``: in degrees Celsius."""
        found = self._hot(limit)
        if found is None or limit is None:
            self._hot_since = None
            return ""
        since = self._hot_since = self._now() if self._hot_since is None else self._hot_since
        if self._now() - since >= self._within_s:
            return ""
        return f"it cools down: {found:.1f} °C, and up to {limit:.1f} °C is usual before a job"

    def begin(self, limit: float | None) -> str:
        """A job begins: what is to be said of the temperature; empty: nothing. The next one may wait anew."""
        found, since = self._hot(limit), self._hot_since
        self._hot_since = None
        if found is None:
            return ""
        waited_s = 0.0 if since is None else min(self._within_s, self._now() - since)
        return (
            f"the device was at {found:.1f} °C when this began, and up to {limit:.1f} °C is usual: "
            f"it had {waited_s:.0f} s to cool down"
        )

    def _hot(self, limit: float | None) -> float | None:
        """The temperature, if it is above the limit."""
        found = None if limit is None else self._read()
        return found if found is not None and limit is not None and found > limit else None
