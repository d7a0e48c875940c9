"""Lists in pages: where a page ends, and the addresses of the pages before and after."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request

from dynolab.hub.usecases.cursors import decode_cursor, encode_cursor

ROWS = 50
CURSORS = ("before", "after")
"""What a page's address says besides the filters: the cursor that its rows come after, or before."""


@dataclass(frozen=True, slots=True)
class Page:
    """Rows of a list, and the addresses of the first page and of those beside this one, if there are such."""

    rows: Sequence[Any]
    first: str | None
    newer: str | None
    older: str | None


async def read_page(request: Request, read: Callable[..., Awaitable[Sequence[Any]]], most: int = ROWS) -> Page:
    """The page that the address names, by a use case that takes ``limit`` and ``cursor``; nothing is counted.

    The filters stay as they are. Where there is less than a page before a cursor, it is the first page, and filled up.
    Raises :class:`SpecInvalid` for a cursor that no page has given.
    """
    before, after = (request.query_params.get(name) or None for name in CURSORS)
    cursor = decode_cursor(before) or decode_cursor(after, newer=True)
    rows = await read(limit=most + 1, cursor=cursor)
    if cursor is not None and cursor.newer:
        if len(rows) > most:
            rows = rows[1:]
            return Page(rows, _at(request), _at(request, after=rows[0]), _at(request, before=rows[-1]))
        rows, cursor = await read(limit=most + 1, cursor=None), None
    shown = rows[:most]
    return Page(
        shown,
        first=None if cursor is None else _at(request),
        newer=_at(request, after=shown[0]) if cursor is not None and shown else None,
        older=_at(request, before=shown[-1]) if len(rows) > most else None,
    )


def current_address(request: Request, *without: str, **more: str) -> str:
    """This list's own address: path, filters and cursor, some of them left out, others added; not what was seen of it."""
    given = request.query_params.multi_items()
    kept = [(name, value) for name, value in given if name not in (*without, "seen") and value]
    query = urlencode([*kept, *more.items()])
    return f"{request.url.path}?{query}" if query else request.url.path


def _at(request: Request, **beside: Any) -> str:
    """The address of a page beside a row, or of the first page."""
    return current_address(request, *CURSORS, **{name: encode_cursor(row) for name, row in beside.items()})


def numbered_page(request: Request, rows: Sequence[Any], most: int) -> Page:
    """The page of these rows that the address names by its number, ``page``: for lists that are short, and come whole."""
    asked = request.query_params.get("page", "")
    last = max(1, -(-len(rows) // most))
    number = min(int(asked), last) if asked.isascii() and asked.isdecimal() and len(asked) < 7 and int(asked) else 1
    at = partial(current_address, request, "page")
    return Page(
        rows[(number - 1) * most : number * most],
        first=at() if number > 1 else None,
        newer=at(page=str(number - 1)) if number > 2 else at() if number > 1 else None,
        older=at(page=str(number + 1)) if number < last else None,
    )
