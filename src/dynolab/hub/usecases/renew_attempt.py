"""An agent says that it is still at it."""

from __future__ import annotations

import uuid

from sqlalchemy import func, select, update

from dynolab import errors
from dynolab.hub.store.tables import attempt, job
from dynolab.hub.usecases.base import Hub
from dynolab.spec.agents import Renewal, RenewalAnswer


async def renew_attempt(hub: Hub, attempt_id: uuid.UUID, renewal: Renewal) -> RenewalAnswer:
    """Start the lease anew and note the progress. Raises :class:`Conflict` when the attempt is over."""
    changes: dict[str, object] = {"renewed_at": func.now()}
    if renewal.progress is not None:
        changes["progress"] = renewal.progress
    running = (attempt.c.id == attempt_id, attempt.c.state == "running")
    async with hub.database.begin() as connection:
        job_id = await connection.scalar(update(attempt).where(*running).values(changes).returning(attempt.c.job_id))
        if job_id is None:
            raise errors.Conflict(f"the attempt {attempt_id} is over: its lease ran out, or the job was cancelled")
        row = (await connection.execute(select(job).where(job.c.id == job_id))).one()
        if row.state == "preparing" and renewal.progress is not None:
            await connection.execute(
                update(job).where(job.c.id == job_id).values(state="running", updated_at=func.now())
            )
    return RenewalAnswer(cancel=row.cancelled_at is not None)
