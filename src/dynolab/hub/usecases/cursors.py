"""Places in lists that come newest first, as the doors hand them out: what comes in meanwhile shifts nothing."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dynolab.errors import SpecInvalid


def read_cursor(text: str | None) -> tuple[datetime, str] | None:
    """The last row of the page before; None on the first. Raises :class:`SpecInvalid` for what no page has given."""
    if text is None:
        return None
    wrong = SpecInvalid(
        f"before={text[:100]!r} is no place in a list", hint="take it from the page before, or begin with the first"
    )
    try:
        instant, last_id = urlsafe_b64decode(text.encode("ascii")).decode("ascii").split()
        at = datetime.fromisoformat(instant).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong from error
    if "\x00" in last_id:
        raise wrong
    return at, last_id


def cut_page(rows: Sequence[Any], most: int) -> tuple[Sequence[Any], str | None]:
    """The page of ``most`` rows, of which one more was asked for, and the cursor of the page after it."""
    if len(rows) <= most:
        return rows, None
    last = rows[most - 1]
    return rows[:most], urlsafe_b64encode(f"{last.created_at.isoformat()} {last.id}".encode()).decode("ascii")
