"""Attempts that run longer than their job's owner allows, or the hub where the owner does not say."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, CompoundSelect, Float, bindparam, func, select, union
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import WorkerTimeout
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import attempt, job, live_log
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.end_attempt import conclude_cancelled, fail_job, log_attempts, lose_attempts
from dynolab.hub.usecases.running import RUNNING
from dynolab.hub.usecases.time_away import away_s, is_known


async def sweep_deadlines(hub: Hub) -> None:
    """End them, and their jobs with them: another attempt would take as long. Their agents hear of it with the next renewal.

    What counts is the time since an agent took the job, but for what the hub itself was away: nobody ends an attempt before
    that is known, which the sweep of leases finds out.
    """
    async with hub.database.begin() as connection:
        for attempt_id, job_id, deadline_s in await _LATE.all(connection, run_s=hub.limits.run_s):
            error = WorkerTimeout(
                f"the attempt ran longer than the job's deadline of {deadline_s:g} s",
                hint="allow more with --deadline (deadline_s), or ask for less: --max_profiler_iterations, --max_profiler_time",
            )
            locked = select(job.c.cancelled_at).where(job.c.id == job_id).with_for_update()
            cancelled_at = await connection.scalar(locked)
            lost = await lose_attempts(hub, connection, job_id, why=error)
            then = "has failed" if cancelled_at is None else "is cancelled"
            log_attempts(connection, job_id, lost, f"is lost: {error.message}", then)
            await _say(connection, attempt_id, error.message)
            if cancelled_at is not None:
                await conclude_cancelled(hub, connection, job_id)
            else:
                await fail_job(hub, connection, job_id, error)


def _late() -> Prepared:
    """Attempts that run beyond their deadline, or ``run_s`` where they have none, with their jobs and deadlines; those that somebody has locked are left."""
    run_s = bindparam("run_s", type_=Float)
    most_s = func.coalesce(job.c.deadline_s, run_s).label("deadline_s")
    late = (
        select(attempt.c.id, attempt.c.job_id, most_s)
        .join(job, job.c.id == attempt.c.job_id)
        .where(attempt.c.id.in_(_perhaps_late(run_s)), RUNNING)
        .where(attempt.c.started_at + _seconds(most_s.element + away_s()) < func.now(), is_known())
    )
    return Prepared(late.with_for_update(skip_locked=True, of=attempt))


def _perhaps_late(run_s: ColumnElement[float]) -> CompoundSelect[Any]:
    """The ids of the attempts that may be late, each kind by an index of its own: 100,000 that run are not looked at every second.

    Those that began long enough ago for jobs without a deadline; those since which the clock was set back, which began at what
    is no time now; and all of jobs with a deadline.
    """
    long_ago = select(attempt.c.id).where(RUNNING, attempt.c.started_at < func.now() - _seconds(run_s))
    set_back = select(attempt.c.id).where(RUNNING, attempt.c.away_s < 0)
    bounded = select(attempt.c.id).join(job, job.c.id == attempt.c.job_id)
    running = job.c.state.in_(["preparing", "running"])
    return union(long_ago, set_back, bounded.where(RUNNING, job.c.deadline_s.is_not(None), running))


def _seconds(count: float | ColumnElement[float]) -> ColumnElement[timedelta]:
    return func.make_interval(0, 0, 0, 0, 0, 0, count)


_LATE = _late()


async def _say(connection: AsyncConnection, attempt_id: uuid.UUID, why: str) -> None:
    """Close what the agent told of its log, which is all that comes of it, with the reason."""
    line = f"{datetime.now(UTC).strftime('%H:%M:%S')} ended by the hub: {why}\n"
    first = insert(live_log).values(attempt_id=attempt_id, text=line)
    changes = {"text": live_log.c.text + line}
    await connection.execute(first.on_conflict_do_update(index_elements=["attempt_id"], set_=changes))
