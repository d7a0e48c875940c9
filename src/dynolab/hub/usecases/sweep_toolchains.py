"""Jobs that wait for a toolchain whose machines went away: they go to others that have it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.tables import account, job, pool, project
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.enqueue_job import enqueue_job
from dynolab.hub.usecases.find_toolchain import pools_with
from dynolab.hub.usecases.place import Sender

_WAITS = (job.c.state == "queued", job.c.toolchain.is_not(None), job.c.queue_entry.is_not(None))
_LINE = (job.c.pool_id, job.c.toolchain, job.c.account_id, job.c.in_project)


async def sweep_toolchains(hub: Hub) -> None:
    """Move them. Where no other machine is there they stay: their own may come back."""
    lines = select(*_LINE, account.c.email, project.c.organisation_id)
    lines = lines.join(account, account.c.id == job.c.account_id).outerjoin(project, project.c.id == job.c.in_project)
    async with hub.database.begin() as connection:
        for line in (await connection.execute(lines.where(*_WAITS).distinct())).all():
            sender = Sender(line.account_id, line.email, line.organisation_id)
            there = [one for one in await pools_with(connection, sender, line.toolchain) if one.is_there]
            if there and all(one.pool_id != line.pool_id for one in there):
                await _move(hub, connection, line, there[0].pool_id)


async def _move(hub: Hub, connection: AsyncConnection, line: Row[*tuple[Any, ...]], pool_id: str) -> None:
    """All jobs of the line, the first to come first; those that somebody changes at this moment are left to the next sweep."""
    # Skipped too: who closes a pool locks jobs afterwards, which is the other way round.
    open_ = select(pool.c.id).where(pool.c.id == pool_id).with_for_update(read=True, skip_locked=True)
    if await connection.scalar(open_) is None:
        return
    of_line = [column == getattr(line, column.name) for column in _LINE]
    waiting = select(job).where(*_WAITS, *of_line).order_by(job.c.queue_entry).with_for_update(of=job, skip_locked=True)
    for row in (await connection.execute(waiting)).all():
        await hub.queue.finish(connection, row.queue_entry)
        place = await enqueue_job(
            hub,
            connection,
            row.id,
            owner_id=row.account_id,
            pool_id=pool_id,
            os=row.device_os,
            toolchain=row.toolchain,
            asked_priority=row.asked_priority,
        )
        await connection.execute(
            update(job).where(job.c.id == row.id).values(**place, pool_id=pool_id, updated_at=func.now())
        )
