"""Models and datasets that an account may see, newest first."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from sqlalchemy import ColumnElement, Row, Subquery, Table, select
from sqlalchemy.sql import Select

from dynolab.errors import NotFound
from dynolab.hub.store.tables import account as account_table
from dynolab.hub.store.tables import blob, model
from dynolab.hub.usecases.access import readable
from dynolab.hub.usecases.base import (
    Account,
    Cursor,
    Hub,
    contains_text,
    keyset_order,
    newest_first,
)
from dynolab.hub.usecases.newest import Search, newest_ids
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


async def find_model_or_dataset(hub: Hub, account: Account, table: Table, target_id: str) -> Row[Any]:
    """One of them. Raises :class:`NotFound` for one that is not there, that is deleted or expired, or that is another's."""
    found = _stored(table).where(table.c.id == target_id, readable(table, account))
    async with hub.database.begin() as connection:
        row: Row[Any] | None = (await connection.execute(found)).one_or_none()
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
    ids = _ids(account, model, limit=KINDS_OF)
    kinds = select(model.c.kind).join(ids, ids.c.id == model.c.id).distinct()
    async with hub.database.begin() as connection:
        return set((await connection.execute(kinds)).scalars())


async def list_models_or_datasets(
    hub: Hub, account: Account, table: Table, *, limit: int, offset: int = 0, project: str = "", **equal: str
) -> tuple[list[Row[Any]], int]:
    """Rows from ``offset`` on, and how many there are in all, as :func:`~dynolab.hub.usecases.offset_pages.offset_page` counts them.

    ``equal`` are columns and their values, where not empty; ``project`` is one, by id or name, or a label.
    """
    wanted = await narrow_to_project(hub, account, EVERYTHING, project)
    conditions = [table.c[name] == value for name, value in equal.items() if value]

    def page(limit: int, offset: int, cursor: Cursor | None) -> Select[Any]:
        found = _ids(account, table, wanted, conditions=conditions, limit=limit, offset=offset, cursor=cursor)
        rows = _stored(table).join(found, found.c.id == table.c.id)
        return rows.order_by(*keyset_order(table.c.created_at, table.c.id, cursor))

    def ids(limit: int, cursor: Cursor | None) -> Subquery:
        return _ids(account, table, wanted, conditions=conditions, limit=limit, cursor=cursor)

    return await offset_page(hub, account, (table.name, equal, wanted), page, ids, limit=limit, offset=offset)


async def page_models_or_datasets(
    hub: Hub,
    account: Account,
    table: Table,
    wanted: ModelOrDatasetFilter = EVERYTHING,
    *,
    limit: int,
    cursor: Cursor | None = None,
) -> list[Row[Any]]:
    """The rows beyond ``cursor``, newest first."""
    ids = _ids(account, table, wanted, limit=limit, cursor=cursor)
    page = _stored(table).join(ids, ids.c.id == table.c.id)
    async with hub.database.begin() as connection:
        ordered = page.order_by(*keyset_order(table.c.created_at, table.c.id, cursor))
        return newest_first((await connection.execute(ordered)).all(), cursor)


def _ids(
    account: Account,
    table: Table,
    wanted: ModelOrDatasetFilter = EVERYTHING,
    *,
    conditions: Sequence[ColumnElement[bool]] = (),
    limit: int,
    offset: int = 0,
    cursor: Cursor | None = None,
) -> Subquery:
    """The ids of a page's rows, as :func:`dynolab.hub.usecases.find_jobs.page_ids` finds those of jobs."""
    kind = [table.c.kind == wanted.kind] if wanted.kind and "kind" in table.c else []
    named = [contains_text(table.c.name, wanted.name)] if wanted.name and wanted.text else []
    columns = ("name", "id") if wanted.text else ("name",)
    search = Search(wanted.text or wanted.name, columns, wanted.creator, wanted.in_project)
    labelled = [table.c.project_id == wanted.label, table.c.in_project.is_(None)] if wanted.label else []
    every = [*conditions, *kind, *named, *labelled, table.c.deleted_at.is_(None)]
    return newest_ids(table, account, every, search, limit=limit, offset=offset, cursor=cursor)
