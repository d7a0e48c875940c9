"""The newest rows of a list, whichever million it has: read off an index from the first one on, no further than a page needs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import (
    BigInteger,
    ColumnElement,
    DateTime,
    FromClause,
    Select,
    Subquery,
    Table,
    Text,
    and_,
    any_,
    bindparam,
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
from dynolab.hub.usecases.access import Given, array_of, projects_of, readable
from dynolab.hub.usecases.base import Account, Cursor, beyond_cursor, contains_given, keyset_order, pattern

Most = int | ColumnElement[int]
KEPT = 512
"""Statements that are kept of each kind of list, by what they differ by, some 10 kB each."""
COUNTED_MOST = 10_000
"""To count a million rows takes as long as to read them: beyond this many it is only told that there are more."""
INDEXED_TEXT = re.compile(r"[A-Za-z0-9]{3}")
"""What the index of names (pg_trgm) finds: it knows of three letters or digits in a row, those of ASCII whatever the locale."""
Index = Literal["text", "points"]
Whose = Literal["any", "own", "namesake", "other"]
"""Whose rows: everybody's, one's own, those of others with one's name as well, another's."""
LOOKED_THROUGH, OF_SHARED = 10_000, 2_000
"""Rows in which a text is looked for that no index knows: the newest ones, of what is shared fewer, each of which is looked up."""
LOOKED_FIRST, OF_SHARED_FIRST = 1_000, 200
"""Rows in which a text that an index knows is looked for before the index is asked: of one that many have, they have enough for a page."""


@dataclass(frozen=True, slots=True)
class Search:
    """What is looked for in a list, beside the conditions of its own: empty is all."""

    text: str = ""
    columns: tuple[str, ...] = ("name", "id")
    """Where the text is a part of one."""
    creator: str = ""
    """An owner's e-mail address or name."""
    in_project: str | None = None
    """The id of a project: in that alone."""

    def sought(self, account: Account) -> Sought:
        """What a statement for it differs by."""
        whose: Whose = "other"
        if self.creator in ("", account.email):
            whose = "own" if self.creator else "any"
        elif self.creator == account.name:
            whose = "namesake"
        return Sought(self.columns if self.text else (), _index_of(self.text), whose, self.in_project is not None)

    @property
    def told(self) -> dict[str, object]:
        """What the statement is given with each call."""
        return {
            "sought_pattern": pattern(self.text),
            "sought_text": self.text,
            "sought_creator": self.creator,
            "sought_project": self.in_project,
        }


@dataclass(frozen=True, slots=True)
class Sought:
    """What statements differ by, whichever words are looked for."""

    columns: tuple[str, ...] = ()
    """Where a text is looked for; empty: none is."""
    index: Index | None = None
    """Which index knows the text."""
    whose: Whose = "any"
    in_one_project: bool = False


ANYTHING = Sought()
_CREATOR, _PROJECT = bindparam("sought_creator", type_=Text), bindparam("sought_project", type_=Text)
_ENDS = bindparam("cursor_at", type_=DateTime(timezone=True)), bindparam("cursor_id", type_=Text)
OFFSET = bindparam("offset", type_=BigInteger)
"""How many rows are passed over, in a statement that is given that."""


def given_cursor(newer: bool | None) -> Cursor | None:
    """What stands for a cursor that such a statement is given: the page before it, or after it; None: for no cursor."""
    at, id = _ENDS
    return None if newer is None else Cursor(at, id, newer)  # type: ignore[arg-type]  # columns stand for the values


def told_of(cursor: Cursor | None) -> dict[str, object]:
    """What the statement is told of it."""
    return {} if cursor is None else {"cursor_at": cursor.at, "cursor_id": cursor.id}


def newest_ids(
    table: Table,
    who: Given,
    conditions: Sequence[ColumnElement[bool]],
    sought: Sought,
    *,
    limit: Most,
    has_offset: bool = False,
    cursor: Cursor | None = None,
    in_order: bool = True,
    arms: Sequence[ColumnElement[bool]] = (),
) -> Subquery:
    """The ids of a page: of the rows that the account may see, its own, those of its projects and those shared with it, the newest beyond a cursor.

    Each of these parts comes in order off an index, and they are merged: what is passed over is not looked at but there. One
    condition with OR would make PostgreSQL read every row there is. A text is looked for in the first :data:`LOOKED_FIRST` rows of
    each part, and where those have too few, in all that the index finds; one that no index knows, in the first
    :data:`LOOKED_THROUGH`. The words are given with each call: :attr:`Search.told`, :func:`told_of`, and the asker's own. Not
    ``in_order``: some ids of as many rows, for who counts them; where one part has enough, the next ones are not looked at.

    ``arms``: conditions of which no row meets two, and a row has to meet one. An index has the rows of each in order, and not those of all:
    each makes parts of its own.
    """
    each: list[Sequence[ColumnElement[bool]]] = [[*conditions, one] for one in arms] or [conditions]
    any_arm = [*conditions, or_(*arms)] if arms else conditions
    most: Most = OFFSET + limit if has_offset else limit
    apart = sought.in_one_project or who.project_id is not None
    rows = [_inside(table, who, one, sought, cursor, most=most, of_others=not apart) for one in each]
    if not apart:
        rows += [_own(table, who, one, sought, cursor) for one in each]
    firsts = [_part(one.limit(_window(sought) if sought.columns else most), sought) for one in rows]
    ends = [_end(one, _window(sought), cursor) for one in firsts]
    if not apart:
        shared, looked_at = _shared(table, who, any_arm, sought, cursor)
        firsts.append(_part(shared.limit(OF_SHARED if sought.columns else most), sought))
        ends.append(_end(looked_at, OF_SHARED_FIRST, cursor))
    both = union_all(*(select(one.c.at, one.c.id).where(_has(one, sought)) for one in firsts)).subquery()
    if sought.index is not None:
        both = _or_by_index(both, ends, _by_index(table, who, any_arm, sought, cursor), most, cursor)
    page = select(both.c.id).limit(limit)
    if in_order:
        page = page.order_by(*keyset_order(both.c.at, both.c.id, cursor))
    return (page.offset(OFFSET) if has_offset else page).subquery()


def _part(rows: Select[Any], sought: Sought) -> FromClause:
    """Some rows as a part of the statement: with a text they are asked for twice, and found once."""
    return rows.cte() if sought.columns else rows.subquery()


def _end(first: FromClause, window: int, cursor: Cursor | None) -> ColumnElement[Any]:
    """The instant of the last of these rows; NULL where there are no others beyond them."""
    last = func.max if cursor is not None and cursor.newer else func.min
    return select(last(first.c.at)).having(func.count() >= window).scalar_subquery()


def _or_by_index(
    both: Subquery, ends: Sequence[ColumnElement[Any]], others: Select[Any], most: Most, cursor: Cursor | None
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
    table: Table, who: Given, conditions: Sequence[ColumnElement[bool]], sought: Sought, cursor: Cursor | None
) -> Select[Any]:
    """Instants and ids of all that the account may see and that have the text, in no order: the index finds them, wherever they are."""
    ends = table.c.created_at, table.c.id
    found = select(ends[0].label("at"), ends[1].label("id")).where(
        _text(table, sought), readable(table, who), *conditions, beyond_cursor(*ends, cursor)
    )
    if sought.whose != "any":
        found = found.where(_by_creator(table))
    return found.where(table.c.in_project == _PROJECT) if sought.in_one_project else found


def _by_creator(table: Table) -> ColumnElement[bool]:
    """Whether it is of whoever has the address or name that is looked for."""
    named = or_(tables.account.c.email == _CREATOR, tables.account.c.name == _CREATOR)
    return table.c.account_id.in_(select(tables.account.c.id).where(named))


def _own(
    table: Table, who: Given, conditions: Sequence[ColumnElement[bool]], sought: Sought, cursor: Cursor | None
) -> Select[Any]:
    """Instants, ids and names of one's own, in order."""
    ends = table.c.created_at, table.c.id
    rows = select(ends[0].label("at"), ends[1].label("id"), *_names(table, sought)).where(
        table.c.account_id == who.id, *conditions, beyond_cursor(*ends, cursor)
    )
    # Few made anything in a project that they have left: hardly a row is passed over for that.
    by_share = exists().where(tables.share.c.target_id == table.c.id, tables.share.c.email == who.email)
    rows = rows.where(or_(table.c.in_project.is_(None), _in_mine(table, who), by_share.correlate(table)))
    if sought.whose == "other":
        rows = rows.where(false())  # not a row is read to find that out
    return rows.order_by(*keyset_order(*ends, cursor))


def _in_mine(table: Table, who: Given) -> ColumnElement[bool]:
    return table.c.in_project == any_(array_of(projects_of(who)))


def _inside(
    table: Table,
    who: Given,
    conditions: Sequence[ColumnElement[bool]],
    sought: Sought,
    cursor: Cursor | None,
    *,
    most: Most,
    of_others: bool,
) -> Select[Any]:
    """Of the account's projects, or the one that is looked for: each is read off its index no further than needed. ``of_others``: not its own."""
    mine = projects_of(who).subquery()
    ends = table.c.created_at, table.c.id
    found = select(ends[0].label("at"), ends[1].label("id"), *_names(table, sought))
    found = found.where(table.c.in_project == mine.c.id, *conditions, beyond_cursor(*ends, cursor))
    if of_others:
        found = found.where(table.c.account_id != who.id, *_of_another(table, sought))
    elif sought.whose != "any":
        found = found.where(_by_creator(table))
    limit = _window(sought) if sought.columns else most
    one = found.order_by(*keyset_order(*ends, cursor)).limit(limit).lateral()
    rows = select(*one.c).select_from(mine.join(one, true()))
    if sought.in_one_project:
        rows = rows.where(mine.c.id == _PROJECT)
    return rows.order_by(*keyset_order(one.c.at, one.c.id, cursor))


def _shared(
    table: Table, who: Given, conditions: Sequence[ColumnElement[bool]], sought: Sought, cursor: Cursor | None
) -> tuple[Select[Any], FromClause]:
    """Of what others share, by the order of the sharings, which know when their targets were made; and the sharings that are looked at, by ``at``.

    Some things are shared in several ways. Each target is looked up for itself, until there are enough: a join of another kind would look at all.
    """
    share, kind = tables.share.c, func.left(tables.share.c.target_id, 1)
    letter = table.name[0]  # of ids, as in new_id
    each = select(share.target_at, share.target_id).where(share.email == who.email, kind == letter).distinct()
    each = each.where(beyond_cursor(share.target_at, share.target_id, cursor))
    each = each.order_by(*keyset_order(share.target_at, share.target_id, cursor))
    if sought.columns:
        each = each.limit(OF_SHARED if sought.index is None else OF_SHARED_FIRST)
    ordered = _part(each, sought)
    of = [table.c.id == ordered.c.target_id, table.c.account_id != who.id, *_of_another(table, sought)]
    of.append(or_(table.c.in_project.is_(None), not_(_in_mine(table, who))))
    found = select(table.c.id, *_names(table, sought)).where(*of, *conditions)
    target = found.limit(1).lateral()
    names = [column for column in target.c if column.key != "id"]
    rows = select(ordered.c.target_at.label("at"), ordered.c.target_id.label("id"), *names)
    ends = ordered.c.target_at, ordered.c.target_id
    rows = rows.select_from(ordered.join(target, true())).order_by(*keyset_order(*ends, cursor))
    return rows, select(ordered.c.target_at.label("at")).subquery()


def _of_another(table: Table, sought: Sought) -> list[ColumnElement[bool]]:
    """Whether what is another's is of the creator that is looked for."""
    if sought.whose == "any":
        return []
    return [false() if sought.whose == "own" else _by_creator(table)]


def _names(table: Table, sought: Sought) -> list[ColumnElement[str]]:
    """What a text is looked for in."""
    return [table.c[name].label(f"{name}_") for name in sought.columns]


def _window(sought: Sought) -> int:
    return LOOKED_THROUGH if sought.index is None else LOOKED_FIRST


def _index_of(text: str) -> Index | None:
    """Which index knows the text: that of names and ids by three letters, or that of names with other letters than ASCII's by their code points."""
    if INDEXED_TEXT.search(text):
        return "text"
    return None if text.isascii() else "points"


def _text(table: Table, sought: Sought) -> ColumnElement[bool]:
    """Whether the text is there, as its index tells."""
    if sought.index == "text":
        return or_(*(_contains(table.c[name]) for name in sought.columns))
    name = table.c.name
    points = func.concat("%", func.dynolab_code_points(bindparam("sought_text", type_=Text)), "%")
    known = func.dynolab_code_points(name).like(points)
    return and_(func.octet_length(name) != func.char_length(name), known, _contains(name))


def _has(first: FromClause, sought: Sought) -> ColumnElement[bool]:
    """Whether one of these rows has the text."""
    return or_(*(_contains(first.c[f"{name}_"]) for name in sought.columns)) if sought.columns else true()


def _contains(column: ColumnElement[Any]) -> ColumnElement[bool]:
    return contains_given(column, "sought_pattern")
