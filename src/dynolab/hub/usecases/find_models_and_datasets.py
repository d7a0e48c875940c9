"""Models and datasets that an account may see, newest first."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import ColumnElement, Subquery, Table, bindparam, func, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Select

from dynolab.errors import NotFound
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account as account_table
from dynolab.hub.store.tables import blob, model
from dynolab.hub.usecases.access import Given, readable
from dynolab.hub.usecases.base import (
    Account,
    Cursor,
    Hub,
    contains_given,
    keyset_order,
    newest_first,
    pattern,
)
from dynolab.hub.usecases.newest import ANYTHING, KEPT, OFFSET, Most, Search, Sought, given_cursor, newest_ids, told_of
from dynolab.hub.usecases.offset_pages import offset_page
from dynolab.hub.usecases.place import look_in


@dataclass(frozen=True, slots=True)
class ModelOrDatasetFilter:
    """Which of them: empty is all. ``text`` is a part of the name or id."""

    name: str = ""
    """A part of it."""
    text: str = ""
    creator: str = ""
    """The owner's e-mail address or name."""
    kind: str = ""
    """A model's format; datasets have none."""
    in_project: str | None = None
    """The id of a project."""
    label: str = ""
    """Of their owners (see :class:`~dynolab.hub.usecases.place.Place`)."""
    producer_id: str = ""
    """The job that made it; datasets have none."""

    @property
    def _search(self) -> Search:
        columns = ("name", "id") if self.text else ("name",)
        return Search(self.text or self.name, columns, self.creator, self.in_project)

    def shape(self, account: Account) -> tuple[frozenset[str], Sought]:
        """What statements for these differ by: the fields that a condition stands for, and what is looked for."""
        named = {name for name in ("kind", "label", "producer_id") if getattr(self, name)}
        if self.name and self.text:
            named.add("name")
        return frozenset(named), self._search.sought(account)

    @property
    def told(self) -> dict[str, object]:
        """What such a statement is given with each call."""
        named = {f"wanted_{name}": getattr(self, name) for name in ("kind", "label", "producer_id")}
        return {**named, "wanted_name": pattern(self.name), **self._search.told}


EVERYTHING = ModelOrDatasetFilter()
KINDS_OF = 1_000
"""Models whose formats are offered to choose from, however many there are."""


def _stored(table: Table) -> Select[Any]:
    """Rows of ``model`` or ``dataset`` with their owner (``email``, ``owner_name``) and ``size_bytes``."""
    owner = account_table.c
    return (
        select(table, owner.email, owner.name.label("owner_name"), blob.c.bytes.label("size_bytes"))
        .join(account_table, owner.id == table.c.account_id)
        .outerjoin(blob, blob.c.id == table.c.blob_id)
    )


async def find_model_or_dataset(hub: Hub, account: Account, table: Table, target_id: str) -> Any:
    """One of them. Raises :class:`NotFound` for one that is not there, that is deleted or expired, or that is another's."""
    async with hub.database.single() as connection:
        row = await _looking(table, account.given).one_or_none(connection, target=target_id, **account.told)
    if row is None:
        hint = "it may have been deleted or have expired, or belong to another"
        raise NotFound(f"there is no {table.name} {target_id!r}", hint=hint)
    return row


async def narrow_to_project(
    hub: Hub, account: Account, wanted: ModelOrDatasetFilter, named: str
) -> ModelOrDatasetFilter:
    """As :func:`dynolab.hub.usecases.find_jobs.narrow_to_project`."""
    if not named:
        return wanted
    known = await look_in(hub, account, named)
    return replace(wanted, label=named) if known is None else replace(wanted, in_project=known)


async def find_kinds(hub: Hub, account: Account) -> set[str]:
    """The formats of the newest models that the account may see."""
    async with hub.database.single() as connection:
        return {row.kind for row in await _kinds(account.given).all(connection, **account.told)}


@cache
def _kinds(who: Given) -> Prepared:
    ids = _ids(who, model, frozenset(), ANYTHING, limit=KINDS_OF)
    return Prepared(select(model.c.kind).join(ids, ids.c.id == model.c.id).distinct())


@cache
def _looking(table: Table, who: Given) -> Prepared:
    return Prepared(_stored(table).where(table.c.id == bindparam("target"), readable(table, who)))


async def list_models_or_datasets(
    hub: Hub, account: Account, table: Table, *, limit: int, offset: int = 0, project: str = "", producer_id: str = ""
) -> tuple[list[Any], int]:
    """Rows from ``offset`` on, and how many there are in all, as :func:`~dynolab.hub.usecases.offset_pages.offset_page` counts them.

    ``project`` is one, by id or name, or a label.
    """
    made_by = replace(EVERYTHING, producer_id=producer_id)
    wanted = await narrow_to_project(hub, account, made_by, project)
    shape, told = wanted.shape(account), {**account.told, **wanted.told}

    async def page(connection: AsyncConnection, limit: int, offset: int, cursor: Cursor | None) -> list[Any]:
        newer = None if cursor is None else cursor.newer
        paging = _paging(account.given, table, *shape, limit, bool(offset), newer)
        return await paging.all(connection, offset=offset, **told, **told_of(cursor))

    async def count(connection: AsyncConnection, most: int | None, offset: int, cursor: Cursor | None) -> int:
        counting = _counting(account.given, table, *shape, most, cursor is not None)
        return int(await counting.scalar(connection, offset=offset, **told, **told_of(cursor)))

    return await offset_page(hub, account, (table.name, wanted), page, count, limit=limit, offset=offset)


async def page_models_or_datasets(
    hub: Hub,
    account: Account,
    table: Table,
    wanted: ModelOrDatasetFilter = EVERYTHING,
    *,
    limit: int,
    cursor: Cursor | None = None,
) -> list[Any]:
    """The rows beyond ``cursor``, newest first."""
    newer = None if cursor is None else cursor.newer
    paging = _paging(account.given, table, *wanted.shape(account), limit, False, newer)
    async with hub.database.single() as connection:
        rows = await paging.all(connection, **account.told, **wanted.told, **told_of(cursor))
    return newest_first(rows, cursor)


@lru_cache(KEPT)
def _paging(
    who: Given, table: Table, named: frozenset[str], sought: Sought, limit: int, has_offset: bool, newer: bool | None
) -> Prepared:
    cursor = given_cursor(newer)
    ids = _ids(who, table, named, sought, limit=limit, has_offset=has_offset, cursor=cursor)
    page = _stored(table).join(ids, ids.c.id == table.c.id)
    return Prepared(page.order_by(*keyset_order(table.c.created_at, table.c.id, cursor)))


@lru_cache(KEPT)
def _counting(
    who: Given, table: Table, named: frozenset[str], sought: Sought, most: int | None, is_after: bool
) -> Prepared:
    """As :func:`dynolab.hub.usecases.find_jobs._counting`."""
    cursor = given_cursor(False if is_after else None)
    ids = _ids(who, table, named, sought, limit=OFFSET if most is None else most, cursor=cursor, in_order=False)
    return Prepared(select(func.count().label("rows")).select_from(ids))


def _ids(
    who: Given,
    table: Table,
    named: frozenset[str],
    sought: Sought,
    *,
    limit: Most,
    has_offset: bool = False,
    cursor: Cursor | None = None,
    in_order: bool = True,
) -> Subquery:
    """The ids of a page's rows, as :func:`dynolab.hub.usecases.find_jobs.page_ids` finds those of jobs."""
    every: list[ColumnElement[bool]] = [table.c.deleted_at.is_(None)]
    every += [
        table.c[one] == bindparam(f"wanted_{one}") for one in ("kind", "producer_id") if one in named and one in table.c
    ]
    every += [contains_given(table.c.name, "wanted_name")] if "name" in named else []
    if "label" in named:
        every += [table.c.project_id == bindparam("wanted_label"), table.c.in_project.is_(None)]
    page: dict[str, Any] = {"has_offset": has_offset, "in_order": in_order}
    return newest_ids(table, who, every, sought, limit=limit, cursor=cursor, **page)
