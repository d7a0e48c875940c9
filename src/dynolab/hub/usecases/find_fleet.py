"""Figures of queue and devices that are the same for all replicas: asked of the database now and then, and told to whoever asks."""

from __future__ import annotations

import asyncio
import time

from sqlalchemy import Float, case, cast, column, func, literal_column, select, table
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Unavailable
from dynolab.hub.store.database import Database
from dynolab.hub.store.tables import attempt, device, pool
from dynolab.hub.usecases.base import Fleet, FleetCache, Waiting
from dynolab.hub.usecases.find_board_states import is_away

KEPT_S = 10.0
"""Scrapes come every 15 s or so, of each replica."""
KEPT_TIMES = 20.0
"""The answer is kept for so many times as long as it took: with a million jobs that wait, asking takes 5 % of one core at most."""
WITHIN_S = 5.0
"""Less than the 10 s after which Prometheus gives a scrape up."""
POOLS_MOST = 50
"""Those in which most jobs wait are told by name; the rest together, as :data:`OTHERS`."""
OTHERS = "(others)"


async def find_fleet(database: Database, cache: FleetCache) -> Fleet:
    """The figures, some seconds old. Raises :class:`Unavailable` when the database does not tell them in time."""
    async with cache.asking:
        if cache.fleet is None or time.monotonic() >= cache.until_s:
            cache.fleet, begun = None, time.monotonic()
            try:
                async with asyncio.timeout(WITHIN_S), database.begin() as connection:
                    cache.fleet = await _ask(connection)
            except TimeoutError as error:
                raise Unavailable(f"the database did not tell within {WITHIN_S:g} s", hint="ask again") from error
            now = time.monotonic()
            cache.until_s = now + max(KEPT_S, KEPT_TIMES * (now - begun))
        return cache.fleet


async def _ask(connection: AsyncConnection) -> Fleet:
    devices = await _devices(connection)
    running = await connection.scalar(select(func.count()).where(attempt.c.state == "running"))
    return Fleet(await _queues(connection), devices, int(running or 0))


async def _queues(connection: AsyncConnection) -> dict[str, Waiting]:
    """By PgQueuer's own table, which has a row for every job that waits or runs, and none of those that are over.

    Its entry points are named ``pool:ID|SYSTEM`` (see :func:`~dynolab.hub.usecases.find_devices.pool_queue`).
    """
    entries = table("pgqueuer", column("entrypoint"), column("status"), column("created"))
    queued = entries.c.status == literal_column("'queued'::pgqueuer_status")
    age_s = cast(func.extract("epoch", func.now() - func.min(entries.c.created)), Float)
    lines = select(entries.c.entrypoint, func.count().label("jobs"), age_s.label("oldest_s")).where(queued)
    line = lines.group_by(entries.c.entrypoint).subquery("line")
    pool_id = func.split_part(func.split_part(line.c.entrypoint, "|", 1), ":", 2)
    named = (
        select(
            pool.c.name, cast(func.sum(line.c.jobs), Float).label("jobs"), func.max(line.c.oldest_s).label("oldest_s")
        )
        .join(line, pool.c.id == pool_id)
        .group_by(pool.c.name)
        .order_by(func.sum(line.c.jobs).desc(), pool.c.name)
    )
    rows = (await connection.execute(named)).all()
    found = {row.name: Waiting(int(row.jobs), max(0.0, row.oldest_s)) for row in rows[:POOLS_MOST]}
    if rest := rows[POOLS_MOST:]:
        found[OTHERS] = Waiting(int(sum(row.jobs for row in rest)), max(0.0, *(row.oldest_s for row in rest)))
    return found


async def _devices(connection: AsyncConnection) -> dict[tuple[str, str], int]:
    held = (attempt.c.id == device.c.attempt_id) & (attempt.c.state == "running")
    seen = func.greatest(device.c.seen_at, attempt.c.renewed_at)
    state = case((attempt.c.id.is_not(None), "busy"), (is_away(seen), "away"), else_="free")
    health = case((device.c.unfit != "", "unfit"), else_=device.c.health)
    found = (
        select(state, health, func.count())
        .select_from(device.outerjoin(attempt, held))
        .where(device.c.pool_id.is_not(None))
        .group_by(state, health)
    )
    return {(row[0], row[1]): row[2] for row in (await connection.execute(found)).all()}
