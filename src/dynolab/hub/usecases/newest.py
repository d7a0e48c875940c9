"""The newest rows of a list, whichever million it has: read off an index from the first one on, no further than a page needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, Subquery, Table, and_, false, func, or_, select, union_all

from dynolab.hub.store import tables
from dynolab.hub.usecases.base import Account, Cursor, beyond_cursor, contains_text, keyset_order

COUNTED_MOST = 10_000
"""To count a million rows takes as long as to read them: beyond this many it is only told that there are more."""
INDEXED_TEXT = re.compile(r"[A-Za-z0-9]{3}")
"""What the index of names (pg_trgm) finds: it knows of three letters or digits in a row, those of ASCII whatever the locale."""
LOOKED_THROUGH = 20_000
"""Rows in which a text is looked for that the index does not know: the newest ones."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for in a list, beside the conditions of its own: empty is all."""

    text: str = ""
    columns: Sequence[str] = ("name", "id")
    """Where the text is a part of one."""
    creator: str = ""
    """An owner's e-mail address or name."""


@dataclass(frozen=True, slots=True)
class _Part:
    """Rows in order: where they come from, by which instant and id, and of which of them they are."""

    source: FromClause
    at: ColumnElement[Any]
    id: ColumnElement[Any]
    conditions: Sequence[ColumnElement[bool]]


def newest_ids(
    table: Table,
    account: Account,
    conditions: Sequence[ColumnElement[bool]],
    search: Search,
    *,
    limit: int,
    offset: int = 0,
    cursor: Cursor | None = None,
) -> Subquery:
    """The ids of a page: of the rows that the account may see, its own and those shared with it, the newest beyond a cursor.

    Each of these parts comes in order off an index, and they are merged: what is passed over is not looked at but there. One
    condition with OR would make PostgreSQL read every row there is. A text without three letters or digits in a row is looked
    for in the first :data:`LOOKED_THROUGH` rows of each part.
    """
    parts = [
        _first(table, part, conditions, search, limit + offset, cursor)
        for part in (_own(table, account, search.creator), _shared(table, account, search.creator))
    ]
    both = union_all(*(select(part.c.at, part.c.id) for part in parts)).subquery()
    page = select(both.c.id).order_by(*keyset_order(both.c.at, both.c.id, cursor)).limit(limit)
    return (page.offset(offset) if offset else page).subquery()


def _own(table: Table, account: Account, creator: str) -> _Part:
    # Not a row is read to find out that one's own are none of another's.
    of = [table.c.account_id == account.id, *([] if creator in ("", account.email, account.name) else [false()])]
    return _Part(table, table.c.created_at, table.c.id, of)


def _shared(table: Table, account: Account, creator: str) -> _Part:
    """By the order of the sharings, which know when their targets were made. Some things are shared in several ways."""
    share, kind = tables.share.c, func.left(tables.share.c.target_id, 1)
    letter = table.name[0]  # of ids, as in new_id
    each = select(share.target_at, share.target_id).where(share.email == account.email, kind == letter).distinct()
    ordered = each.order_by(share.target_at.desc(), share.target_id).subquery()
    of = [table.c.account_id != account.id]
    if creator:
        named = or_(tables.account.c.email == creator, tables.account.c.name == creator)
        of.append(table.c.account_id.in_(select(tables.account.c.id).where(named)))
    joined = ordered.join(table, table.c.id == ordered.c.target_id)
    return _Part(joined, ordered.c.target_at, ordered.c.target_id, of)


def _first(
    table: Table,
    part: _Part,
    conditions: Sequence[ColumnElement[bool]],
    search: Search,
    limit: int,
    cursor: Cursor | None,
) -> Subquery:
    """``at`` and ``id`` of the first rows of a part."""
    beyond = and_(*part.conditions, *conditions, beyond_cursor(part.at, part.id, cursor))
    rows = select(part.at.label("at"), part.id.label("id")).select_from(part.source).where(beyond)
    order = keyset_order(part.at, part.id, cursor)
    if not search.text:
        return rows.order_by(*order).limit(limit).subquery()
    if INDEXED_TEXT.search(search.text):
        return rows.where(_named(table.c, search)).order_by(*order).limit(limit).subquery()
    names = [table.c[name].label(f"{name}_") for name in search.columns]
    newest: Select[Any] = rows.add_columns(*names).order_by(*order).limit(LOOKED_THROUGH)
    first = newest.subquery()
    named = or_(*(contains_text(first.c[f"{name}_"], search.text) for name in search.columns))
    found = select(first.c.at, first.c.id).where(named)
    return found.order_by(*keyset_order(first.c.at, first.c.id, cursor)).limit(limit).subquery()


def _named(columns: Any, search: Search) -> ColumnElement[bool]:
    return or_(*(contains_text(columns[name], search.text) for name in search.columns))
