"""The way past the hub, to the store itself: whether it is tried, since an agent may reach the hub and not the store."""

from __future__ import annotations

import logging
import time

DIRECT_LEAST_BYTES = 256 << 10
"""What is shorter goes through the hub: it costs less than the questions about it would."""
CLOSED_S = 600.0
log = logging.getLogger(__name__)


class StoreFailed(Exception):
    """The store did not do what the hub's address stands for."""


class AddressOver(StoreFailed):
    """The store takes nothing at the address, or takes it no more."""


class DirectWay:
    """Open, or closed for a while after it failed: what could not go that way goes through the hub."""

    def __init__(self) -> None:
        self._closed_until = 0.0

    @property
    def is_open(self) -> bool:
        """Whether it is tried now."""
        return time.monotonic() >= self._closed_until

    def failed(self, error: Exception) -> None:
        """It did not work: leave it alone for a while."""
        self._closed_until = time.monotonic() + CLOSED_S
        log.warning(
            "the store is not reached directly (%s): files go through the hub for %.0f min", error, CLOSED_S / 60
        )
