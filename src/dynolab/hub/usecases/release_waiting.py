"""What the end of a job means for those that wait for it: they are queued once all they wait for is done, or fail with it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, bindparam, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import DependencyFailed
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import dependency, job
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.enqueue_job import enqueue_job

_WAITED_FOR = Prepared(select(exists().where(dependency.c.needed_id == bindparam("needed")).label("found")))
_WAITS = (job.c.state == "queued", job.c.queue_entry.is_(None))


async def release_waiting(hub: Hub, connection: AsyncConnection, job_id: str, state: str) -> None:
    """Part of the transaction that ends the job, whose row it holds already: ``state`` is ``done`` or how else it ended.

    Rows are locked from the oldest job to the newest, as everybody does who locks several; a job is younger than those
    that it waits for, so that nobody waits in a circle.
    """
    if not await _WAITED_FOR.scalar(connection, needed=job_id):
        return
    if state == "done":
        for waiting in await _locked(connection, [job_id], deep=False):
            await _queue_if_ready(hub, connection, waiting)
        return
    ended = {job_id: state}
    while found := await _locked(connection, list(ended), deep=True):  # again: for those that came before the lock did
        for waiting in found:
            needed = select(dependency.c.needed_id).where(dependency.c.job_id == waiting.id)
            cause = next((one for one in (await connection.execute(needed)).scalars() if one in ended), job_id)
            failure = dependency_failed(cause, ended[cause]).to_dict()
            changes = {"state": "failed", "failure": failure, "finished_at": func.now(), "updated_at": func.now()}
            await connection.execute(update(job).where(job.c.id == waiting.id).values(changes))
            ended[waiting.id] = "failed"


def dependency_failed(job_id: str, state: str) -> DependencyFailed:
    """The error of a job that was to wait for this one."""
    return DependencyFailed(
        f"the job {job_id}, which this one waits for, is {state}",
        hint="see why, run it again, and submit this one anew",
        details={"job_id": job_id},
    )


async def _locked(connection: AsyncConnection, needed: list[str], *, deep: bool) -> list[Row[Any]]:
    """The jobs that wait for these, ``deep``: also for the former; the oldest first."""
    above = select(dependency.c.job_id).where(dependency.c.needed_id.in_(needed)).cte("above", recursive=deep)
    if deep:
        above = above.union(select(dependency.c.job_id).where(dependency.c.needed_id == above.c.job_id))
    waiting = select(job).where(job.c.id.in_(select(above.c.job_id)), *_WAITS).order_by(job.c.created_at, job.c.id)
    return list((await connection.execute(waiting.with_for_update())).all())


async def _queue_if_ready(hub: Hub, connection: AsyncConnection, waiting: Row[Any]) -> None:
    """A statement of its own after the lock: it sees the ends that others committed while this one waited for the row."""
    needed = select(job.c.id).join(dependency, dependency.c.needed_id == job.c.id)
    unready = needed.where(dependency.c.job_id == waiting.id, job.c.state != "done")
    if await connection.scalar(select(exists(unready))):
        return
    place = await enqueue_job(
        hub,
        connection,
        waiting.id,
        owner_id=waiting.account_id,
        pool_id=waiting.pool_id,
        os=waiting.device_os,
        toolchain=waiting.toolchain,
        asked_priority=waiting.asked_priority,
    )
    await connection.execute(update(job).where(job.c.id == waiting.id).values(**place, updated_at=func.now()))
