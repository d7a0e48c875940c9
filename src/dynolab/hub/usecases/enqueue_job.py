"""A job gets its place in the queue of its pool."""

from __future__ import annotations

from sqlalchemy import ColumnElement, bindparam, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.prepared import Prepared
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
    by, line = (_BY_OS, os) if toolchain is None else (_BY_TOOLCHAIN, toolchain)
    told = {"owner": owner_id, "pool": pool_id, "line": line, "asked_priority": asked_priority}
    found = await by.one_or_none(connection, **told)
    priority = asked_priority * BAND - found.ahead
    queue = _queue(pool_id, os, toolchain, owner_id if found.served else None)
    entry = await hub.queue.enqueue(connection, queue, job_id, priority)
    return {"priority": priority, "queue_entry": entry}


def _served() -> ColumnElement[bool]:
    """Whether the ``owner`` serves one of the ``pool``'s devices."""
    mine = device.c.token_id == token.c.id, token.c.account_id == bindparam("owner")
    return exists().where(device.c.pool_id == bindparam("pool"), *mine)


def _line(*same: ColumnElement[bool]) -> Prepared:
    """How many jobs of the ``owner`` wait in the same line of the ``pool``, up to :data:`FAIR_MOST`, and whether it serves the pool."""
    mine = job.c.account_id == bindparam("owner"), job.c.pool_id == bindparam("pool"), *same
    waits = job.c.state == "queued", job.c.queue_entry.is_not(None)
    waiting = select(job.c.id).where(*mine, *waits, job.c.asked_priority == bindparam("asked_priority"))
    ahead = select(func.count()).select_from(waiting.limit(FAIR_MOST).subquery()).scalar_subquery()
    return Prepared(select(ahead.label("ahead"), _served().label("served")))


_BY_OS = _line(job.c.device_os == bindparam("line"), job.c.toolchain.is_(None))
_BY_TOOLCHAIN = _line(job.c.toolchain == bindparam("line"))
_SERVED = Prepared(select(_served().label("served")))


async def queue_of(connection: AsyncConnection, pool_id: str, os: str, toolchain: str | None, owner_id: int) -> str:
    """The queue for a job of this account: all devices of the pool that may run its models look into it."""
    served = await _SERVED.scalar(connection, owner=owner_id, pool=pool_id)
    return _queue(pool_id, os, toolchain, owner_id if served else None)


def _queue(pool_id: str, os: str, toolchain: str | None, served_by: int | None) -> str:
    return pool_queue(pool_id, os if toolchain is None else f"{MAKES}{toolchain}", served_by)
