"""What a board did last."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, case, select
from sqlalchemy.sql import Select

from dynolab.hub.store.tables import attempt, job
from dynolab.hub.usecases.base import Account, Hub, visible


async def find_device_history(hub: Hub, account: Account, device_id: str, *, limit: int) -> list[Row[Any]]:
    """The board's last attempts, newest first, with ``job_id``, ``job_name``, ``job_kind`` and ``summary``.

    Of an attempt at a job that the account may not see, these and ``failure`` are None: that the board was busy is no secret.
    """
    own = (job.c.id == attempt.c.job_id) & visible(job, account)
    seen = job.c.id.is_not(None)
    statement: Select[Any] = (
        select(
            *(attempt.c.id, attempt.c.number, attempt.c.state, attempt.c.started_at, attempt.c.finished_at),
            case((seen, attempt.c.failure)).label("failure"),
            *(job.c.id.label("job_id"), job.c.name.label("job_name"), job.c.kind.label("job_kind"), job.c.summary),
        )
        .select_from(attempt.outerjoin(job, own))
        .where(attempt.c.device_id == device_id)
        .order_by(attempt.c.started_at.desc(), attempt.c.id)
        .limit(limit)
    )
    async with hub.database.begin() as connection:
        return list((await connection.execute(statement)).all())
