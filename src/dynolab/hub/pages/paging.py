"""Lists in pages: where a page ends, and the addresses of the pages before and after."""

from __future__ import annotations

from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from dynolab.errors import SpecInvalid

ROWS = 50


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and the addresses of its first page and of the page after this one, if there are such."""

    rows: Sequence[Any]
    first: str | None
    following: str | None


def cut(request: Request, rows: Sequence[Any], most: int = ROWS) -> Page:
    """The page of ``most`` rows, of which one more was asked for; the filters stay as they are."""
    filters = [(name, value) for name, value in request.query_params.multi_items() if name not in ("before", "seen")]
    path = request.url.path
    first = f"{path}?{urlencode(filters)}" if "before" in request.query_params else None
    if len(rows) <= most:
        return Page(rows, first, None)
    last = rows[most - 1]
    cursor = urlsafe_b64encode(f"{last.created_at.isoformat()} {last.id}".encode()).decode("ascii")
    return Page(rows[:most], first, f"{path}?{urlencode([*filters, ('before', cursor)])}")


def before(request: Request) -> tuple[datetime, str] | None:
    """The last row of the page before, None on the first. Raises :class:`SpecInvalid` for what no page has given."""
    text = request.query_params.get("before")
    if not text:
        return None
    try:
        instant, last_id = urlsafe_b64decode(text.encode("ascii")).decode("ascii").split()
        at = datetime.fromisoformat(instant).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise SpecInvalid(f"before={text[:100]!r} is no place in a list", hint="begin with the first page") from error
    if "\x00" in last_id:
        raise SpecInvalid(f"before={text[:100]!r} is no place in a list")
    return at, last_id
