"""Attempts that run longer than their job's owner allows."""

from __future__ import annotations

from sqlalchemy import func, select, update

from dynolab.errors import WorkerTimeout
from dynolab.hub.store.tables import attempt, job
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.end_attempt import conclude_cancelled, fail_job, lose_attempts


async def sweep_deadlines(hub: Hub) -> None:
    """End them, and their jobs with them: another attempt would take as long. Their agents hear of it with the next renewal.

    What counts is the time since an agent took the job: however long it was queued, nobody could run it then.
    """
    allowed = func.make_interval(0, 0, 0, 0, 0, 0, job.c.deadline_s)
    late = (
        select(attempt.c.id, attempt.c.job_id, job.c.deadline_s)
        .join(job, job.c.id == attempt.c.job_id)
        .where(attempt.c.state == "running", job.c.deadline_s.is_not(None))
        .where(attempt.c.started_at + allowed < func.now())
        .with_for_update(skip_locked=True, of=attempt)
    )
    async with hub.database.begin() as connection:
        for attempt_id, job_id, deadline_s in (await connection.execute(late)).all():
            error = WorkerTimeout(
                f"the attempt ran longer than the job's deadline of {deadline_s:g} s",
                hint="allow more with deadline_s, or ask for less: --max_profiler_iterations, --max_profiler_time",
            )
            locked = select(job.c.cancelled_at).where(job.c.id == job_id).with_for_update()
            cancelled_at = await connection.scalar(locked)
            await lose_attempts(hub, connection, job_id)
            failed = update(attempt).where(attempt.c.id == attempt_id).values(failure=error.to_dict())
            await connection.execute(failed)
            if cancelled_at is not None:
                await conclude_cancelled(hub, connection, job_id)
            else:
                await fail_job(hub, connection, job_id, error)
