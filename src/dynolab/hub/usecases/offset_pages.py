"""Pages of a list by offset, as AI Hub's client asks for them: where one page ended, the next one begins."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.usecases.base import Account, Cursor, Hub
from dynolab.hub.usecases.newest import COUNTED_MOST

REMEMBERED_FROM = 2_000
"""Up to here rows are passed over by the index, so that an offset means what it says at that instant."""
REMEMBERED_S = 60.0
"""For so long an offset means the row that it was when the page before it was read: what came since shifts nothing meanwhile."""
REMEMBERED_MOST = 10_000
"""Ends of pages that one replica remembers, some 0.5 kB each."""
Page = Callable[[AsyncConnection, int, int, Cursor | None], Awaitable[list[Any]]]
"""A page's rows, with ``created_at`` and ``id``, of a limit, an offset and a cursor."""
Count = Callable[[AsyncConnection, int | None, int, Cursor | None], Awaitable[int]]
"""How many rows there are: of so many beyond a cursor; or, of None, of as many as an offset passes over."""


async def offset_page(
    hub: Hub, account: Account, wanted: object, page: Page, count: Count, *, limit: int, offset: int
) -> tuple[list[Any], int]:
    """Rows from ``offset`` on, and how many there are in all: at most :data:`COUNTED_MOST` more than are passed over are counted.

    ``wanted``: what is looked for, whose ``repr`` tells it from all else.
    """
    key = f"{account.id} {account.project_id} {wanted!r}"
    cursor, before = _remembered(hub, key, offset), int(offset >= REMEMBERED_FROM)
    async with hub.database.begin() as connection:
        if cursor is not None:
            rows = await page(connection, limit, 0, cursor)
        else:  # where the row before it is, is remembered as well: who asks for this page again finds it by that
            rows = await page(connection, limit + before, offset - before, None)
            for row in rows[:before]:
                _remember(hub, key, offset, Cursor(row.created_at, row.id))
            rows = rows[before:]
        if not rows:
            known = offset if cursor is not None or not offset else None
            return [], known if known is not None else await count(connection, None, offset, None)
        last = Cursor(rows[-1].created_at, rows[-1].id)
        _remember(hub, key, offset + len(rows), last)
        if len(rows) < limit:
            return rows, offset + len(rows)
        others = await count(connection, COUNTED_MOST, 0, last)
        return rows, offset + min(COUNTED_MOST, len(rows) + others)


def _remembered(hub: Hub, key: str, offset: int) -> Cursor | None:
    cursor, until = hub.page_ends.get((key, offset), (None, 0.0))
    return cursor if time.monotonic() < until else None


def _remember(hub: Hub, key: str, offset: int, cursor: Cursor) -> None:
    if offset < REMEMBERED_FROM:
        return
    if len(hub.page_ends) >= REMEMBERED_MOST:
        hub.page_ends.clear()
    hub.page_ends[key, offset] = cursor, time.monotonic() + REMEMBERED_S
