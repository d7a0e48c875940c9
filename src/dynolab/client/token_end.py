"""A token that ends soon is told of while it still opens the hub."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

EXPIRES = "dynolab-token-expires"
"""The header by which a hub tells when the token ends that it was asked with (ISO 8601)."""
ROTATE_AFTER = "dynolab-token-rotate-after"
"""From when on it should be rotated (ISO 8601); a hub of before does not tell."""
SOON = timedelta(days=7)
Ending = Callable[[str, datetime, timedelta], None]
"""Told of the hub's pages, when the token ends, and how much of its life is left by the hub's clock."""


class TokenEndsSoon(UserWarning):
    """The token with which the hub is asked ends within seven days, and should be rotated."""


def ending(headers: Mapping[str, str]) -> tuple[datetime, timedelta] | None:
    """When the token ends, and what is left by the hub's own clock; None: it has no end, more than :data:`SOON` is left, or it need not be rotated yet."""
    try:
        end = datetime.fromisoformat(headers[EXPIRES])
        now = parsedate_to_datetime(headers["date"]) if "date" in headers else datetime.now(UTC)
        left = end - now
        is_due = ROTATE_AFTER not in headers or datetime.fromisoformat(headers[ROTATE_AFTER]) <= now
    except (KeyError, ValueError, TypeError):  # there is none, or it is no instant with a zone
        return None
    return (end, left) if left <= SOON and is_due else None


_warned: set[tuple[str, datetime]] = set()


def warn(pages: str, end: datetime, left: timedelta) -> None:
    """Warn of a token's end, once in a process, by :class:`TokenEndsSoon`."""
    if (pages, end) not in _warned:
        _warned.add((pages, end))
        warnings.warn(f"{told(end, left)}: `dynolab token rotate`, or {pages}/account/", TokenEndsSoon, stacklevel=2)


def told(end: datetime, left: timedelta) -> str:
    """Both in words, with the time left in the largest unit of which there are two."""
    minutes = max(0, int(left.total_seconds() // 60))
    units = ((minutes // 1440, "days"), (minutes // 60, "hours"), (minutes, "minutes"))
    count, unit = next((one for one in units if one[0] > 1), units[-1])
    return f"the API token ends in {count} {unit}, at {end.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
