"""Models that an account may see, newest first."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.sql import Select

from dynolab.errors import NotFound
from dynolab.hub.store.tables import account as account_table
from dynolab.hub.store.tables import blob, model
from dynolab.hub.usecases.base import Account, Hub, containing, earlier, visible


def _models() -> Select[Any]:
    owner = account_table.c
    return (
        select(model, owner.email, owner.name.label("owner_name"), blob.c.bytes.label("size_bytes"))
        .join(account_table, owner.id == model.c.account_id)
        .outerjoin(blob, blob.c.id == model.c.blob_id)
    )


async def find_model(hub: Hub, account: Account, model_id: str) -> Row[Any]:
    """One model with its owner's ``email`` and its ``size_bytes``. Raises :class:`NotFound` for one that is not there, or another's."""
    async with hub.database.begin() as connection:
        found = _models().where(model.c.id == model_id, visible(model, account))
        row: Row[Any] | None = (await connection.execute(found)).one_or_none()
    if row is None:
        raise NotFound(f"there is no model {model_id!r}", hint="it may have been deleted, or belong to another")
    return row


async def find_models(
    hub: Hub, account: Account, *, project_id: str = "", producer_id: str = "", limit: int, offset: int = 0
) -> tuple[list[Row[Any]], int]:
    """A page of models, and how many there are in all."""
    conditions = [visible(model, account)]
    if project_id:
        conditions.append(model.c.project_id == project_id)
    if producer_id:
        conditions.append(model.c.producer_id == producer_id)
    page = _models().where(*conditions).order_by(model.c.created_at.desc(), model.c.id).limit(limit).offset(offset)
    async with hub.database.begin() as connection:
        rows = (await connection.execute(page)).all()
        total = await connection.scalar(select(func.count()).select_from(model).where(*conditions))
    return list(rows), int(total or 0)


async def page_models(
    hub: Hub, account: Account, *, name: str = "", limit: int, before: tuple[datetime, str] | None = None
) -> list[Row[Any]]:
    """The next rows after ``before`` (instant and id), newest first; ``name`` is a part of the name."""
    conditions = (visible(model, account), containing(model.c.name, name), earlier(model, before))
    page = _models().where(*conditions).order_by(model.c.created_at.desc(), model.c.id).limit(limit)
    async with hub.database.begin() as connection:
        return list((await connection.execute(page)).all())
