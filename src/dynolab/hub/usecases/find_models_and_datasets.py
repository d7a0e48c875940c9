"""Models and datasets that an account may see, newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Row, Table, func, or_, select
from sqlalchemy.sql import Select

from dynolab.errors import NotFound
from dynolab.hub.store.tables import account as account_table
from dynolab.hub.store.tables import blob, model
from dynolab.hub.usecases.base import (
    Account,
    Cursor,
    Hub,
    beyond_cursor,
    contains_text,
    created_by,
    keyset_order,
    newest_first,
    visible,
)


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


EVERYTHING = ModelOrDatasetFilter()


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
    found = _stored(table).where(table.c.id == target_id, visible(table, account))
    async with hub.database.begin() as connection:
        row: Row[Any] | None = (await connection.execute(found)).one_or_none()
    if row is None:
        hint = "it may have been deleted or have expired, or belong to another"
        raise NotFound(f"there is no {table.name} {target_id!r}", hint=hint)
    return row


async def find_kinds(hub: Hub, account: Account) -> set[str]:
    """The formats of the models that the account may see."""
    async with hub.database.begin() as connection:
        return set((await connection.execute(select(model.c.kind).where(visible(model, account)).distinct())).scalars())


async def list_models_or_datasets(
    hub: Hub, account: Account, table: Table, *, limit: int, offset: int = 0, **equal: str
) -> tuple[list[Row[Any]], int]:
    """Rows from ``offset`` on, and how many there are in all; ``equal`` are columns and their values, where not empty."""
    conditions = [visible(table, account), *(table.c[name] == value for name, value in equal.items() if value)]
    page = _stored(table).where(*conditions).order_by(table.c.created_at.desc(), table.c.id)
    async with hub.database.begin() as connection:
        rows = (await connection.execute(page.limit(limit).offset(offset))).all()
        total = await connection.scalar(select(func.count()).select_from(table).where(*conditions))
    return list(rows), int(total or 0)


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
    ends = table.c.created_at, table.c.id
    page = _stored(table).where(visible(table, account), *_conditions(table, wanted), beyond_cursor(*ends, cursor))
    async with hub.database.begin() as connection:
        ordered = page.order_by(*keyset_order(*ends, cursor)).limit(limit)
        return newest_first((await connection.execute(ordered)).all(), cursor)


def _conditions(table: Table, wanted: ModelOrDatasetFilter) -> list[ColumnElement[bool]]:
    inside = or_(contains_text(table.c.name, wanted.text), contains_text(table.c.id, wanted.text))
    conditions = [contains_text(table.c.name, wanted.name), inside, created_by(table, wanted.creator)]
    return [*conditions, table.c.kind == wanted.kind] if wanted.kind and "kind" in table.c else conditions
