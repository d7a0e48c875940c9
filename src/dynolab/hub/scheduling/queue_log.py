"""What PgQueuer writes down of every job, and the hub never reads."""

from __future__ import annotations

from datetime import timedelta

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from sqlalchemy.ext.asyncio import AsyncConnection

LIFE = timedelta(days=3)
"""Long enough to look into what went wrong on a Friday."""
BATCH = 10_000
_LOG = QueryBuilderEnvironment().settings.queue_table_log
_PRUNE = f"DELETE FROM {_LOG} WHERE id IN (SELECT id FROM {_LOG} WHERE created < now() - $1::interval ORDER BY created LIMIT {BATCH})"
"""PgQueuer itself can only clear all of it, under a lock that every claim would wait for."""


async def prune_queue_log(connection: AsyncConnection, life: timedelta = LIFE) -> int:
    """Remove the oldest entries that are older, at most ``BATCH``; how many went."""
    return (await connection.exec_driver_sql(_PRUNE, (life,))).rowcount
