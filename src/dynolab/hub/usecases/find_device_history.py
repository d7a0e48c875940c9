"""What a board did."""

from __future__ import annotations

from functools import cache
from typing import Any

from sqlalchemy import Integer, Text, bindparam, case, cast, select
from sqlalchemy.sql import Select

from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import attempt, job
from dynolab.hub.usecases.access import Given, readable
from dynolab.hub.usecases.base import Account, Cursor, Hub, beyond_cursor, keyset_order, newest_first
from dynolab.hub.usecases.newest import given_cursor, told_of


async def find_device_history(
    hub: Hub, account: Account, device_id: str, *, limit: int, cursor: Cursor | None = None
) -> list[Any]:
    """The board's attempts beyond ``cursor``, newest first, with ``job_id``, ``job_name``, ``job_kind`` and ``summary``.

    The order is by ``created_at``, which is when they were started.

    Of an attempt at a job that the account may not see, these and ``failure`` are None: that the board was busy is no secret.
    """
    finding = _finding(account.given, None if cursor is None else cursor.newer)
    told = {"device_id": device_id, "most": limit, **told_of(cursor), **account.told}
    async with hub.database.single() as connection:
        return newest_first(await finding.all(connection, **told), cursor)


@cache
def _finding(who: Given, newer: bool | None) -> Prepared:
    cursor = given_cursor(newer)
    own = (job.c.id == attempt.c.job_id) & readable(job, who)
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
        .where(attempt.c.device_id == bindparam("device_id"), beyond_cursor(*ends, cursor))
        .order_by(*keyset_order(attempt.c.started_at, attempt.c.id, cursor))
        .limit(bindparam("most", type_=Integer))
    )
    return Prepared(statement)
