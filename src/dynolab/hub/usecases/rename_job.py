"""A job gets another name."""

from __future__ import annotations

from sqlalchemy import func, update

from dynolab.errors import Forbidden, SpecInvalid
from dynolab.hub.store.tables import job
from dynolab.hub.usecases.base import Account, Hub, checked_name, one


async def rename_job(hub: Hub, account: Account, job_id: str, name: str) -> None:
    """Raises :class:`NotFound`, :class:`Forbidden` for another's job, and :class:`SpecInvalid` for a name that is none."""
    kept = checked_name(name, "job")
    if not kept:
        raise SpecInvalid("a job's name cannot be empty")
    async with hub.database.begin() as connection:
        row = await one(connection, job, job_id, account)
        if row.account_id != account.id:
            raise Forbidden(f"the job {job_id} is another's: only its owner may rename it")
        await connection.execute(update(job).where(job.c.id == job_id).values(name=kept, updated_at=func.now()))
