"""The newest rows of a list, whichever million it has: read off an index from the first one on, no further than a page needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, Literal

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Select,
    Subquery,
    Table,
    and_,
    any_,
    exists,
    false,
    func,
    not_,
    or_,
    select,
    true,
    union,
    union_all,
)

from dynolab.hub.store import tables
from dynolab.hub.usecases.access import array_of, projects_of, readable
from dynolab.hub.usecases.base import Account, Cursor, beyond_cursor, contains_text, keyset_order

COUNTED_MOST = 10_000
"""To count a million rows takes as long as to read them: beyond this many it is only told that there are more."""
INDEXED_TEXT = re.compile(r"[A-Za-z0-9]{3}")
"""What the index of names (pg_trgm) finds: it knows of three letters or digits in a row, those of ASCII whatever the locale."""
LOOKED_THROUGH, OF_SHARED = 10_000, 2_000
"""Rows in which a text is looked for that no index knows: the newest ones, of what is shared fewer, each of which is looked up."""
LOOKED_FIRST, OF_SHARED_FIRST = 1_000, 200
"""Rows in which a text that an index knows is looked for before the index is asked: of one that many have, they have enough for a page."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for in a list, beside the conditions of its own: empty is all."""

    text: str = ""
    columns: Sequence[str] = ("name", "id")
    """Where the text is a part of one."""
    creator: str = ""
    """An owner's e-mail address or name."""
    in_project: str | None = None
    """The id of a project: in that alone."""


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
    """The ids of a page: of the rows that the account may see, its own, those of its projects and those shared with it, the newest beyond a cursor.

    Each of these parts comes in order off an index, and they are merged: what is passed over is not looked at but there. One
    condition with OR would make PostgreSQL read every row there is. A text is looked for in the first :data:`LOOKED_FIRST` rows of
    each part, and where those have too few, in all that the index finds; one that no index knows, in the first
    :data:`LOOKED_THROUGH`.
    """
    most, apart = limit + offset, search.in_project is not None or account.project_id is not None
    rows = [_inside(table, account, conditions, search, cursor, most=most, of_others=not apart)]
    if not apart:
        rows.append(_own(table, account, conditions, search, cursor))
    firsts = [_part(one.limit(_window(search) if search.text else most), search) for one in rows]
    ends = [_end(one, _window(search), cursor) for one in firsts]
    if not apart:
        shared, looked_at = _shared(table, account, conditions, search, cursor)
        firsts.append(_part(shared.limit(OF_SHARED if search.text else most), search))
        ends.append(_end(looked_at, OF_SHARED_FIRST, cursor))
    both = union_all(*(select(one.c.at, one.c.id).where(_has(one, search)) for one in firsts)).subquery()
    if _index_of(search.text) is not None:
        both = _or_by_index(both, ends, _by_index(table, account, conditions, search, cursor), most, cursor)
    page = select(both.c.id).order_by(*keyset_order(both.c.at, both.c.id, cursor)).limit(limit)
    return (page.offset(offset) if offset else page).subquery()


def _part(rows: Select[Any], search: Search) -> FromClause:
    """Some rows as a part of the statement: with a text they are asked for twice, and found once."""
    return rows.cte() if search.text else rows.subquery()


def _end(first: FromClause, window: int, cursor: Cursor | None) -> ColumnElement[Any]:
    """The instant of the last of these rows; NULL where there are no others beyond them."""
    last = func.max if cursor is not None and cursor.newer else func.min
    return select(last(first.c.at)).having(func.count() >= window).scalar_subquery()


def _or_by_index(
    both: Subquery, ends: Sequence[ColumnElement[Any]], others: Select[Any], most: int, cursor: Cursor | None
) -> Subquery:
    """The first rows, if these are as many as are wanted before any part's end, beyond which that one may have others; else all of the index, too."""
    newer = cursor is not None and cursor.newer
    end = select((func.least if newer else func.greatest)(*ends).label("at")).cte()
    reached = select(end.c.at).scalar_subquery()
    before = or_(reached.is_(None), both.c.at < reached if newer else both.c.at > reached)
    ordered = select(both.c.at, both.c.id).where(before).order_by(*keyset_order(both.c.at, both.c.id, cursor))
    first = ordered.limit(most).cte()
    too_few = select(func.count()).select_from(first).scalar_subquery() < most
    return union(select(first.c.at, first.c.id), others.where(reached.is_not(None), too_few)).subquery()


def _by_index(
    table: Table, account: Account, conditions: Sequence[ColumnElement[bool]], search: Search, cursor: Cursor | None
) -> Select[Any]:
    """Instants and ids of all that the account may see and that have the text, in no order: the index finds them, wherever they are."""
    ends = table.c.created_at, table.c.id
    found = select(ends[0].label("at"), ends[1].label("id")).where(
        _text(table, search), readable(table, account), *conditions, beyond_cursor(*ends, cursor)
    )
    if search.creator:
        named = or_(tables.account.c.email == search.creator, tables.account.c.name == search.creator)
        found = found.where(table.c.account_id.in_(select(tables.account.c.id).where(named)))
    return found if search.in_project is None else found.where(table.c.in_project == search.in_project)


def _own(
    table: Table, account: Account, conditions: Sequence[ColumnElement[bool]], search: Search, cursor: Cursor | None
) -> Select[Any]:
    """Instants, ids and names of one's own, in order."""
    ends = table.c.created_at, table.c.id
    rows = select(ends[0].label("at"), ends[1].label("id"), *_names(table, search)).where(
        table.c.account_id == account.id, *conditions, beyond_cursor(*ends, cursor)
    )
    # Few made anything in a project that they have left: hardly a row is passed over for that.
    by_share = exists().where(tables.share.c.target_id == table.c.id, tables.share.c.email == account.email)
    rows = rows.where(or_(table.c.in_project.is_(None), _in_mine(table, account), by_share.correlate(table)))
    if search.creator not in ("", account.email, account.name):
        rows = rows.where(false())  # not a row is read to find that out
    return rows.order_by(*keyset_order(*ends, cursor))


def _in_mine(table: Table, account: Account) -> ColumnElement[bool]:
    return table.c.in_project == any_(_projects(account)[1])


@lru_cache(maxsize=64)
def _projects(account: Account) -> tuple[Subquery, ColumnElement[Any]]:
    """The ids of its projects, as rows and as an array. Kept: to build them is half of what it takes to build a page's statement."""
    return projects_of(account).subquery(), array_of(projects_of(account))


def _inside(
    table: Table,
    account: Account,
    conditions: Sequence[ColumnElement[bool]],
    search: Search,
    cursor: Cursor | None,
    *,
    most: int,
    of_others: bool,
) -> Select[Any]:
    """Of the account's projects, or the one that is looked for: each is read off its index no further than needed. ``of_others``: not its own."""
    mine, _ = _projects(account)
    ends = table.c.created_at, table.c.id
    found = select(ends[0].label("at"), ends[1].label("id"), *_names(table, search))
    found = found.where(table.c.in_project == mine.c.id, *conditions, beyond_cursor(*ends, cursor))
    if of_others:
        found = found.where(table.c.account_id != account.id, *_by(table, account, search.creator))
    elif search.creator:
        named = or_(tables.account.c.email == search.creator, tables.account.c.name == search.creator)
        found = found.where(table.c.account_id.in_(select(tables.account.c.id).where(named)))
    limit = _window(search) if search.text else most
    one = found.order_by(*keyset_order(*ends, cursor)).limit(limit).lateral()
    rows = select(*one.c).select_from(mine.join(one, true()))
    if search.in_project is not None:
        rows = rows.where(mine.c.id == search.in_project)
    return rows.order_by(*keyset_order(one.c.at, one.c.id, cursor))


def _shared(
    table: Table, account: Account, conditions: Sequence[ColumnElement[bool]], search: Search, cursor: Cursor | None
) -> tuple[Select[Any], FromClause]:
    """Of what others share, by the order of the sharings, which know when their targets were made; and the sharings that are looked at, by ``at``.

    Some things are shared in several ways. Each target is looked up for itself, until there are enough: a join of another kind would look at all.
    """
    share, kind = tables.share.c, func.left(tables.share.c.target_id, 1)
    letter = table.name[0]  # of ids, as in new_id
    each = select(share.target_at, share.target_id).where(share.email == account.email, kind == letter).distinct()
    each = each.where(beyond_cursor(share.target_at, share.target_id, cursor))
    each = each.order_by(*keyset_order(share.target_at, share.target_id, cursor))
    if search.text:
        each = each.limit(OF_SHARED if _index_of(search.text) is None else OF_SHARED_FIRST)
    ordered = _part(each, search)
    of = [table.c.id == ordered.c.target_id, table.c.account_id != account.id, *_by(table, account, search.creator)]
    of.append(or_(table.c.in_project.is_(None), not_(_in_mine(table, account))))
    found = select(table.c.id, *_names(table, search)).where(*of, *conditions)
    target = found.limit(1).lateral()
    names = [column for column in target.c if column.key != "id"]
    rows = select(ordered.c.target_at.label("at"), ordered.c.target_id.label("id"), *names)
    ends = ordered.c.target_at, ordered.c.target_id
    rows = rows.select_from(ordered.join(target, true())).order_by(*keyset_order(*ends, cursor))
    return rows, select(ordered.c.target_at.label("at")).subquery()


def _by(table: Table, account: Account, creator: str) -> list[ColumnElement[bool]]:
    """Whether it is another's of this address or name."""
    if not creator:
        return []
    if creator == account.email:
        return [false()]
    named = or_(tables.account.c.email == creator, tables.account.c.name == creator)
    return [table.c.account_id.in_(select(tables.account.c.id).where(named))]


def _names(table: Table, search: Search) -> list[ColumnElement[str]]:
    """What a text is looked for in."""
    return [table.c[name].label(f"{name}_") for name in search.columns] if search.text else []


def _window(search: Search) -> int:
    return LOOKED_THROUGH if _index_of(search.text) is None else LOOKED_FIRST


def _index_of(text: str) -> Literal["text", "points"] | None:
    """Which index knows the text: that of names and ids by three letters, or that of names with other letters than ASCII's by their code points."""
    if INDEXED_TEXT.search(text):
        return "text"
    return None if text.isascii() else "points"


def _text(table: Table, search: Search) -> ColumnElement[bool]:
    """Whether the text is there, as its index tells."""
    if _index_of(search.text) == "text":
        return or_(*(contains_text(table.c[name], search.text) for name in search.columns))
    name = table.c.name
    points = func.concat("%", func.dynolab_code_points(search.text), "%")
    known = func.dynolab_code_points(name).like(points)
    return and_(func.octet_length(name) != func.char_length(name), known, contains_text(name, search.text))


def _has(first: FromClause, search: Search) -> ColumnElement[bool]:
    """Whether one of these rows has the text."""
    return or_(*(contains_text(first.c[f"{name}_"], search.text) for name in search.columns)) if search.text else true()
