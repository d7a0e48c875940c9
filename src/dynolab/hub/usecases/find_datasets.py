"""Datasets that an account may see, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.sql import Select

from dynolab.errors import NotFound
from dynolab.hub.store.tables import account as account_table
from dynolab.hub.store.tables import blob, dataset
from dynolab.hub.usecases.base import Account, Hub, containing, earlier, visible


def _datasets() -> Select[Any]:
    owner = account_table.c
    return (
        select(dataset, owner.email, owner.name.label("owner_name"), blob.c.bytes.label("size_bytes"))
        .join(account_table, owner.id == dataset.c.account_id)
        .outerjoin(blob, blob.c.id == dataset.c.blob_id)
    )


async def find_dataset(hub: Hub, account: Account, dataset_id: str) -> Row[Any]:
    """One dataset with its owner's ``email`` and its ``size_bytes``. Raises :class:`NotFound` for one that is not there, or another's."""
    async with hub.database.begin() as connection:
        found = _datasets().where(dataset.c.id == dataset_id, visible(dataset, account))
        row: Row[Any] | None = (await connection.execute(found)).one_or_none()
    if row is None:
        raise NotFound(f"there is no dataset {dataset_id!r}", hint="it may have expired, or belong to another")
    return row


async def find_datasets(hub: Hub, account: Account, *, limit: int, offset: int = 0) -> tuple[list[Row[Any]], int]:
    """A page of datasets, and how many there are in all."""
    mine = visible(dataset, account)
    page = _datasets().where(mine).order_by(dataset.c.created_at.desc(), dataset.c.id).limit(limit).offset(offset)
    async with hub.database.begin() as connection:
        rows = (await connection.execute(page)).all()
        total = await connection.scalar(select(func.count()).select_from(dataset).where(mine))
    return list(rows), int(total or 0)


async def page_datasets(
    hub: Hub, account: Account, *, name: str = "", limit: int, before: tuple[datetime, str] | None = None
) -> list[Row[Any]]:
    """The next rows after ``before`` (instant and id), newest first; ``name`` is a part of the name."""
    conditions = (visible(dataset, account), containing(dataset.c.name, name), earlier(dataset, before))
    page = _datasets().where(*conditions).order_by(dataset.c.created_at.desc(), dataset.c.id).limit(limit)
    async with hub.database.begin() as connection:
        return list((await connection.execute(page)).all())
