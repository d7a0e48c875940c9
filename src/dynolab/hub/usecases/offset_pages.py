"""Pages of a list by offset, as AI Hub's client asks for them: where one page ended, the next one begins."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from sqlalchemy import Row, Select, Subquery, func, select

from dynolab.hub.usecases.base import Account, Cursor, Hub
from dynolab.hub.usecases.newest import COUNTED_MOST

REMEMBERED_FROM = 2_000
"""Up to here rows are passed over by the index, so that an offset means what it says at that instant."""
REMEMBERED_S = 60.0
"""For so long an offset means the row that it was when the page before it was read: what came since shifts nothing meanwhile."""
REMEMBERED_MOST = 10_000
"""Ends of pages that one replica remembers, some 0.5 kB each."""
Page = Callable[[int, int, Cursor | None], Select[Any]]
"""A page's rows, with ``created_at`` and ``id``, of a limit, an offset and a cursor."""
Ids = Callable[[int, Cursor | None], Subquery]
"""The ids of so many rows beyond a cursor."""


async def offset_page(
    hub: Hub, account: Account, wanted: object, page: Page, ids: Ids, *, limit: int, offset: int
) -> tuple[list[Row[Any]], int]:
    """Rows from ``offset`` on, and how many there are in all: at most :data:`COUNTED_MOST` more than are passed over are counted.

    ``wanted``: what is looked for, whose ``repr`` tells it from all else.
    """
    key = f"{account.id} {account.project_id} {wanted!r}"
    cursor, before = _remembered(hub, key, offset), int(offset >= REMEMBERED_FROM)
    async with hub.database.begin() as connection:
        if cursor is not None:
            rows = (await connection.execute(page(limit, 0, cursor))).all()
        else:  # where the row before it is, is remembered as well: who asks for this page again finds it by that
            rows = (await connection.execute(page(limit + before, offset - before, None))).all()
            for row in rows[:before]:
                _remember(hub, key, offset, Cursor(row.created_at, row.id))
            rows = rows[before:]
        if not rows:
            known = offset if cursor is not None or not offset else None
            before_it = select(func.count()).select_from(ids(offset, None))
            return [], known if known is not None else int(await connection.scalar(before_it) or 0)
        last = Cursor(rows[-1].created_at, rows[-1].id)
        _remember(hub, key, offset + len(rows), last)
        if len(rows) < limit:
            return list(rows), offset + len(rows)
        others = select(func.count()).select_from(ids(max(0, COUNTED_MOST - len(rows)), last))
        return list(rows), offset + len(rows) + int(await connection.scalar(others) or 0)


def _remembered(hub: Hub, key: str, offset: int) -> Cursor | None:
    cursor, until = hub.page_ends.get((key, offset), (None, 0.0))
    return cursor if time.monotonic() < until else None


def _remember(hub: Hub, key: str, offset: int, cursor: Cursor) -> None:
    if offset < REMEMBERED_FROM:
        return
    if len(hub.page_ends) >= REMEMBERED_MOST:
        hub.page_ends.clear()
    hub.page_ends[key, offset] = cursor, time.monotonic() + REMEMBERED_S
