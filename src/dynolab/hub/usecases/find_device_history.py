"""What a board did."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Text, case, cast, select
from sqlalchemy.sql import Select

from dynolab.hub.store.tables import attempt, job
from dynolab.hub.usecases.access import readable
from dynolab.hub.usecases.base import Account, Cursor, Hub, beyond_cursor, keyset_order, newest_first


async def find_device_history(
    hub: Hub, account: Account, device_id: str, *, limit: int, cursor: Cursor | None = None
) -> list[Row[Any]]:
    """The board's attempts beyond ``cursor``, newest first, with ``job_id``, ``job_name``, ``job_kind`` and ``summary``.

    The order is by ``created_at``, which is when they were started.

    Of an attempt at a job that the account may not see, these and ``failure`` are None: that the board was busy is no secret.
    """
    own = (job.c.id == attempt.c.job_id) & readable(job, account)
    seen = job.c.id.is_not(None)
    ends = attempt.c.started_at, cast(attempt.c.id, Text)
    statement: Select[Any] = (
        select(
            *(attempt.c.id, attempt.c.number, attempt.c.state, attempt.c.started_at, attempt.c.finished_at),
            attempt.c.started_at.label("created_at"),
            case((seen, attempt.c.failure)).label("failure"),
            *(job.c.id.label("job_id"), job.c.name.label("job_name"), job.c.kind.label("job_kind"), job.c.summary),
        )
        .select_from(attempt.outerjoin(job, own))
        .where(attempt.c.device_id == device_id, beyond_cursor(*ends, cursor))
        .order_by(*keyset_order(attempt.c.started_at, attempt.c.id, cursor))
        .limit(limit)
    )
    async with hub.database.begin() as connection:
        return newest_first((await connection.execute(statement)).all(), cursor)
