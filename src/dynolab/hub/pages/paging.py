"""Lists in pages: where a page ends, and the addresses of the pages before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from dynolab.hub.usecases.cursors import cut_page, read_cursor

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
    page, cursor = cut_page(rows, most)
    return Page(page, first, cursor and f"{path}?{urlencode([*filters, ('before', cursor)])}")


def before(request: Request) -> tuple[datetime, str] | None:
    """The last row of the page before, None on the first. Raises :class:`SpecInvalid` for what no page has given."""
    return read_cursor(request.query_params.get("before") or None)
