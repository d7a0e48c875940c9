"""A job is pinned: retention does not reach it."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, update

from dynolab.hub.store.tables import job
from dynolab.hub.usecases.access import find_owned
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.quotas import Owner


async def pin_job(hub: Hub, account: Account, job_id: str, is_pinned: bool) -> None:
    """Pin it, or not any more. Raises :class:`NotFound`, and :class:`Forbidden` for another's."""
    async with hub.database.begin() as connection:
        await find_owned(connection, job, job_id, account, "pin", lock="own")
        values = {"is_pinned": is_pinned, "updated_at": func.now()}
        await connection.execute(update(job).where(job.c.id == job_id).values(values))
        await note(connection, "job.pin", "job", job_id, details={"pinned": is_pinned})


async def find_end(hub: Hub, row: Row[Any]) -> datetime | None:
    """From when on retention may take the results of the job whose row this is, unless it is shared; None: never, or it has."""
    if row.is_pinned or row.finished_at is None or row.cleared_at is not None:
        return None
    async with hub.database.single() as connection:
        days = await connection.scalar(Owner(row.account_id, row.in_project).row("kept_days"))
    return None if days is None else row.finished_at + timedelta(days=days)
