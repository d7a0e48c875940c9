"""A job gets its place in the queue of its device model."""

from __future__ import annotations

from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.tables import job
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.find_devices import pool

PRIORITY_MOST = 10
"""Owners may ask for -10 to 10."""
BAND = 10_000_000
"""Places in the queue that one step of priority is worth: more than anybody has jobs waiting."""


async def enqueue_job(
    hub: Hub, connection: AsyncConnection, job_id: str, *, owner_id: int, device: tuple[str, str], asked_priority: int
) -> dict[str, int]:
    """The job's new ``priority`` and ``queue_entry``. ``device`` is the name and system of the device model.

    The higher priority goes first; within one, shares are fair: who has many jobs waiting stands further back.
    """
    name, os = device
    waiting = select(func.count()).where(
        job.c.account_id == owner_id,
        job.c.device_name == name,
        job.c.device_os == os,
        job.c.state == "queued",
        job.c.queue_entry.is_not(None),
        job.c.asked_priority == asked_priority,
    )
    priority = asked_priority * BAND - int(await connection.scalar(waiting) or 0)
    entry = await hub.queue.enqueue(connection, pool(name, os), job_id, priority)
    return {"priority": priority, "queue_entry": entry}
