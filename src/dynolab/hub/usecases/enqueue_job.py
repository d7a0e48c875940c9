"""A job gets its place in the queue of its pool."""

from __future__ import annotations

from sqlalchemy import exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.tables import device, job, token
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.find_devices import pool_queue
from dynolab.spec.toolchain_support import MAKES

BAND = 10_000_000
"""Places in the queue that one step of priority is worth: more than anybody's jobs stand back."""
FAIR_MOST = 10_000
"""Jobs of one account that wait in one line, which are counted: those beyond stand back as far as that, the first to come first."""


async def enqueue_job(
    hub: Hub,
    connection: AsyncConnection,
    job_id: str,
    *,
    owner_id: int,
    pool_id: str,
    os: str,
    toolchain: str | None,
    asked_priority: int,
) -> dict[str, int]:
    """The job's new ``priority`` and ``queue_entry``. It waits for devices of the pool with this system, or this toolchain.

    The higher priority goes first; within one, shares are fair: who has many jobs waiting stands further back.
    """
    waiting = select(job.c.id).where(
        job.c.account_id == owner_id,
        job.c.pool_id == pool_id,
        job.c.toolchain == toolchain if toolchain else (job.c.device_os == os) & job.c.toolchain.is_(None),
        job.c.state == "queued",
        job.c.queue_entry.is_not(None),
        job.c.asked_priority == asked_priority,
    )
    ahead = select(func.count()).select_from(waiting.limit(FAIR_MOST).subquery())
    priority = asked_priority * BAND - int(await connection.scalar(ahead) or 0)
    queue = await queue_of(connection, pool_id, os, toolchain, owner_id)
    entry = await hub.queue.enqueue(connection, queue, job_id, priority)
    return {"priority": priority, "queue_entry": entry}


async def queue_of(connection: AsyncConnection, pool_id: str, os: str, toolchain: str | None, owner_id: int) -> str:
    """The queue for a job of this account: all devices of the pool that may run its models look into it."""
    served = exists().where(
        device.c.pool_id == pool_id, device.c.token_id == token.c.id, token.c.account_id == owner_id
    )
    line = os if toolchain is None else f"{MAKES}{toolchain}"
    return pool_queue(pool_id, line, owner_id if await connection.scalar(select(served)) else None)
