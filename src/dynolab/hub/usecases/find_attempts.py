"""The attempts of a job, and how many jobs stand before it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, and_, func, or_, select
from sqlalchemy.sql import Select

from dynolab.hub.store.tables import attempt, job
from dynolab.hub.usecases.base import Hub


async def find_attempts(hub: Hub, row: Row[Any]) -> tuple[list[Row[Any]], int | None]:
    """The attempts of the job whose row this is, in order, and its place in its queue: 1 is next, None waits for nothing."""
    mine = select(attempt).where(attempt.c.job_id == row.id).order_by(attempt.c.number)
    position = None
    async with hub.database.begin() as connection:
        attempts = (await connection.execute(mine)).all()
        if row.state == "queued" and row.queue_entry is not None:
            position = int(await connection.scalar(_before(row)) or 0) + 1
    return list(attempts), position


def _before(row: Row[Any]) -> Select[Any]:
    """How many jobs the queue orders before this one: those of a higher priority, and the older entries of the same."""
    own = job.c.device_os == row.device_os, job.c.toolchain.is_(None)
    line = own if row.toolchain is None else (job.c.toolchain == row.toolchain,)
    queued = (job.c.pool_id == row.pool_id, *line, job.c.state == "queued", job.c.queue_entry.is_not(None))
    earlier = and_(job.c.priority == row.priority, job.c.queue_entry < row.queue_entry)
    return select(func.count()).where(*queued, or_(job.c.priority > row.priority, earlier))
