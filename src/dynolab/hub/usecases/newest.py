"""The newest rows of a list, whichever million it has: read off an index from the first one on, no further than a page needs."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import ColumnElement, Subquery, Table, any_, false, func, or_, select, true, union_all

from dynolab.hub.store import tables
from dynolab.hub.usecases.base import Account, Cursor, contains_text, keyset_order

COUNTED_MOST = 10_000
"""To count a million rows takes as long as to read them: beyond this many it is only told that there are more."""
INDEXED_TEXT = re.compile(r"[A-Za-z0-9]{3}")
"""What the index of names (pg_trgm) finds: it knows of three letters or digits in a row, those of ASCII whatever the locale."""
LOOKED_THROUGH = 20_000
"""Rows in which a text is looked for that the index does not know: the newest ones."""


def own_and_shared(
    table: Table, account: Account, creator: str = ""
) -> tuple[list[ColumnElement[bool]], list[ColumnElement[bool]]]:
    """The conditions of an account's own rows, and of those that others share with it: together all it may see, but for the deleted.

    One condition with OR would make PostgreSQL read every row there is. ``creator``: an owner's e-mail address or name.
    """
    shared = func.array(select(tables.share.c.target_id).where(tables.share.c.email == account.email).scalar_subquery())
    own = [table.c.account_id == account.id]
    theirs = [table.c.id == any_(shared), table.c.account_id != account.id]
    if creator:
        # Not a row is read to find out that one's own are none of another's.
        own.append(true() if creator in (account.email, account.name) else false())
        named = or_(tables.account.c.email == creator, tables.account.c.name == creator)
        theirs.append(table.c.account_id.in_(select(tables.account.c.id).where(named)))
    return own, theirs


def newest_named(
    table: Table,
    conditions: Sequence[ColumnElement[bool]],
    text: str,
    *,
    columns: Sequence[str],
    limit: int,
    cursor: Cursor | None,
) -> Subquery:
    """``created_at`` and ``id`` of the first rows, in the order of :func:`keyset_order`, that have the text in one of these columns.

    Empty: of all. A text without three letters or digits in a row is looked for in the first :data:`LOOKED_THROUGH` rows.
    """
    ends = table.c.created_at, table.c.id
    order = keyset_order(*ends, cursor)
    if not text:
        return select(*ends).where(*conditions).order_by(*order).limit(limit).subquery()
    if INDEXED_TEXT.search(text):
        named = or_(*(contains_text(table.c[one], text) for one in columns))
        return select(*ends).where(*conditions, named).order_by(*order).limit(limit).subquery()
    first = select(*ends, table.c.name).where(*conditions).order_by(*order).limit(LOOKED_THROUGH).subquery()
    named = or_(*(contains_text(first.c[one], text) for one in columns))
    found = select(first.c.created_at, first.c.id).where(named)
    return found.order_by(*keyset_order(first.c.created_at, first.c.id, cursor)).limit(limit).subquery()


def newest_of(*parts: Subquery, limit: int, offset: int = 0, cursor: Cursor | None = None) -> Subquery:
    """The ids of the first rows of several parts, each of which is in the order of :func:`keyset_order`.

    They are merged: what is passed over is read off the indexes alone, and no row of it is looked at.
    """
    both = union_all(*(select(part.c.created_at, part.c.id) for part in parts)).subquery()
    page = select(both.c.id).order_by(*keyset_order(both.c.created_at, both.c.id, cursor)).limit(limit)
    return (page.offset(offset) if offset else page).subquery()
