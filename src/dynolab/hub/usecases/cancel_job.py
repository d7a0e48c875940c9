"""A job is cancelled, whether it waits or runs."""

from __future__ import annotations

from sqlalchemy import func, select, update

from dynolab.errors import Conflict
from dynolab.hub.store.tables import job
from dynolab.hub.usecases.access import find_owned
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.end_attempt import conclude_cancelled
from dynolab.hub.usecases.submit_job import LIVE


async def cancel_job(hub: Hub, account: Account, job_id: str) -> None:
    """A queued job is over at once; a running one when its agent hears of it, with its next renewal.

    Raises :class:`NotFound`, :class:`Forbidden` for a job that is shared with the account only, and :class:`Conflict` for
    one that is over.
    """
    async with hub.database.begin() as connection:
        await find_owned(connection, job, job_id, account, "cancel")
        state = await connection.scalar(select(job.c.state).where(job.c.id == job_id).with_for_update())
        if state not in LIVE:
            raise Conflict(f"the job {job_id} is over already: it is {state}")
        await connection.execute(update(job).where(job.c.id == job_id).values(cancelled_at=func.now()))
        if state == "queued":
            await conclude_cancelled(hub, connection, job_id)
