"""A job gets its place in the queue of its pool."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Integer, Text, bindparam, case, exists, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.scheduling.queue import first_priority
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import device, job, token
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.find_devices import pool_queue
from dynolab.spec.toolchain_support import MAKES

BAND = 10_000_000
"""Places in the queue that one step of priority is worth."""
PLACE_MOST = BAND // 2 - 1
"""The furthest back that a job stands within its priority; those who come there go in the order in which they came."""
FAIR_MOST = 10_000
"""Jobs of one account that wait in one line, which are looked at."""
LATELY = 20
"""Jobs of an account among which its last one in the line is looked for."""


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

    The higher priority goes first; within one, accounts take turns: see :func:`_place`.
    """
    by, line = (_BY_OS, os) if toolchain is None else (_BY_TOOLCHAIN, toolchain)
    band = asked_priority * BAND
    told = {"owner": owner_id, "pool": pool_id, "line": line, "asked_priority": asked_priority}
    queues = (_queue(pool_id, os, toolchain, served_by) for served_by in (None, owner_id))
    told |= dict(zip(_QUEUES, queues, strict=True))
    found = await by.one_or_none(connection, first=band + BAND // 2, last=band - PLACE_MOST, **told)
    priority = band - min(_place(*(None if one is None else band - one for one in found[:3])), PLACE_MOST)
    queue = _queue(pool_id, os, toolchain, owner_id if found.served else None)
    entry = await hub.queue.enqueue(connection, queue, job_id, priority)
    return {"priority": priority, "queue_entry": entry}


def _place(waiting: int | None, before: int | None, front: int | None) -> int:
    """Where a job stands: places count rounds, in each of which every account has a turn (start-time fair queueing).

    Behind the last of the account's own that are ``waiting``. Without any: in the round that is at the ``front``, or in the next one
    if the account's job ``before`` had its turn in this one. Jobs of one account stay in order, and each has its turn after as many
    rounds as it stands back, whoever comes meanwhile.
    """
    if waiting is not None:
        return waiting + 1
    if front is None:
        return 0
    now = max(front, 0)
    return now + (before is not None and before >= now)


def _served() -> ColumnElement[bool]:
    """Whether the ``owner`` serves one of the ``pool``'s devices."""
    mine = device.c.token_id == token.c.id, token.c.account_id == bindparam("owner")
    return exists().where(device.c.pool_id == bindparam("pool"), *mine)


_QUEUES = ("shared_queue", "own_queue")
"""Those that the devices of a line look into."""


def _line(of_line: Callable[[Any], tuple[ColumnElement[bool], ...]]) -> Prepared:
    """Of a line of the ``pool``, the priorities of some jobs that were asked for with the same one, and whether the owner serves the pool.

    ``waiting``: of the last of the ``owner``'s that wait. Only where none does, ``before``: of the one that it sent last, and
    ``front``: of the next one.
    """

    def here(one: Any) -> tuple[ColumnElement[bool], ...]:
        same = one.asked_priority == bindparam("asked_priority"), one.queue_entry.is_not(None)
        return one.pool_id == bindparam("pool"), *of_line(one), *same

    mine = job.c.account_id == bindparam("owner")
    told = (job.c.pool_id, job.c.device_os, job.c.toolchain, job.c.asked_priority, job.c.queue_entry, job.c.priority)
    waits = select(job.c.priority).where(mine, job.c.state == "queued", *here(job.c)).limit(FAIR_MOST).subquery()
    lately = select(*told, job.c.created_at).where(mine).order_by(job.c.created_at.desc(), job.c.id).limit(LATELY)
    latest = lately.subquery("lately").c
    before = select(latest.priority).where(*here(latest)).order_by(latest.created_at.desc()).limit(1)
    queues = [bindparam(name, type_=Text) for name in _QUEUES]
    front = first_priority(queues, bindparam("last", type_=Integer), bindparam("first", type_=Integer))
    waiting = select(func.min(waits.c.priority).label("last")).cte("waiting").c.last
    return Prepared(
        select(
            waiting,
            case((waiting.is_(None), before.scalar_subquery())).label("before"),
            case((waiting.is_(None), front)).label("front"),
            _served().label("served"),
        )
    )


_BY_OS = _line(lambda one: (one.device_os == bindparam("line"), one.toolchain.is_(None)))
_BY_TOOLCHAIN = _line(lambda one: (one.toolchain == bindparam("line"),))
_SERVED = Prepared(select(_served().label("served")))


async def queue_of(connection: AsyncConnection, pool_id: str, os: str, toolchain: str | None, owner_id: int) -> str:
    """The queue for a job of this account: all devices of the pool that may run its models look into it."""
    served = await _SERVED.scalar(connection, owner=owner_id, pool=pool_id)
    return _queue(pool_id, os, toolchain, owner_id if served else None)


def _queue(pool_id: str, os: str, toolchain: str | None, served_by: int | None) -> str:
    return pool_queue(pool_id, os if toolchain is None else f"{MAKES}{toolchain}", served_by)
