"""The attempts of a job, and how many jobs stand before it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, and_, func, or_, select

from dynolab.hub.store.tables import attempt, job
from dynolab.hub.usecases.base import Hub


async def find_attempts(hub: Hub, row: Row[Any]) -> tuple[list[Row[Any]], int | None]:
    """The attempts of the job whose row this is, in order, and its place in its queue: 1 is next, None waits for nothing."""
    mine = select(attempt).where(attempt.c.job_id == row.id).order_by(attempt.c.number)
    same_queue = (job.c.device_name == row.device_name, job.c.device_os == row.device_os, job.c.state == "queued")
    # As the queue orders its entries: the higher priority first, then the older entry.
    earlier = and_(job.c.priority == row.priority, job.c.queue_entry < row.queue_entry)
    before = select(func.count()).where(*same_queue, or_(job.c.priority > row.priority, earlier))
    async with hub.database.begin() as connection:
        attempts = (await connection.execute(mine)).all()
        position = int(await connection.scalar(before) or 0) + 1 if row.state == "queued" else None
    return list(attempts), position
