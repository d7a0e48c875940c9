"""A job is cancelled, whether it waits or runs."""

from __future__ import annotations

from sqlalchemy import func, select, update

from dynolab.errors import Conflict, Forbidden
from dynolab.hub.store.tables import job
from dynolab.hub.usecases.base import Account, Hub, find_visible
from dynolab.hub.usecases.end_attempt import conclude_cancelled
from dynolab.hub.usecases.submit_job import LIVE


async def cancel_job(hub: Hub, account: Account, job_id: str) -> None:
    """A queued job is over at once; a running one when its agent hears of it, with its next renewal.

    Raises :class:`NotFound`, :class:`Forbidden` for a job that is shared with the account only, and :class:`Conflict` for
    one that is over.
    """
    async with hub.database.begin() as connection:
        row = await find_visible(connection, job, job_id, account)
        if row.account_id != account.id:
            raise Forbidden(f"the job {job_id} is another's: only its owner may cancel it")
        state = await connection.scalar(select(job.c.state).where(job.c.id == job_id).with_for_update())
        if state not in LIVE:
            raise Conflict(f"the job {job_id} is over already: it is {state}")
        await connection.execute(update(job).where(job.c.id == job_id).values(cancelled_at=func.now()))
        if state == "queued":
            await conclude_cancelled(hub, connection, job_id)
