"""The queue of jobs: its verbs act inside the caller's own transaction. PgQueuer's tables, and its ``dequeue``.

What comes and goes one by one has plainer statements here than PgQueuer's, which are for many at once.

A claimed entry stays claimed until somebody takes it out. Leases are those of attempts: one place alone decides that an
agent is lost, and puts its job into the queue again (:func:`dynolab.hub.usecases.end_attempt.sweep_leases`).
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol, cast

import asyncpg
from pgqueuer.domain.types import QueueEntrypoint, QueueManagerId
from pgqueuer.ports.driver import Driver
from pgqueuer.ports.repository import EntrypointExecutionParameter
from pgqueuer.queries import Queries
from sqlalchemy import CTE, BigInteger, ColumnElement, column, delete, table
from sqlalchemy.ext.asyncio import AsyncConnection

CHANNEL = "dynolab_queue"
"""Notified with a queue's name in the transaction that puts something into it."""

FOREVER = timedelta(days=36500)
"""PgQueuer would take over a claimed entry whose heartbeat is older."""
LONG_AGO = -FOREVER
"""From when on an entry may be claimed. With PgQueuer's own default, the moment when it came, a clock that is set back would
hide all that wait for as long."""


@dataclass(frozen=True, slots=True)
class Claimed:
    """An entry that the claimant holds."""

    entry: int
    payload: str
    waited_s: float
    """How long it was in the queue, by the database's clock."""


class Queue(Protocol):
    """What the hub asks of a queue. All calls take part in the connection's transaction."""

    async def enqueue(self, connection: AsyncConnection, queue: str, payload: str, priority: int) -> int:
        """Put a payload into a queue and wake who waits for it; the entry's number. Higher priorities come first."""

    async def claim(self, connection: AsyncConnection, queues: Sequence[str], claimant: uuid.UUID) -> Claimed | None:
        """The next entry of these queues; None when there is none."""

    async def wake(self, connection: AsyncConnection, queue: str) -> None:
        """Have one of those who wait for the queue look again."""

    async def waiting(self, connection: AsyncConnection) -> list[str]:
        """The queues that hold an entry which nobody has claimed."""

    async def finish(self, connection: AsyncConnection, entry: int) -> None:
        """Take an entry out."""


class PgQueue:
    """The queue on PgQueuer's tables."""

    async def enqueue(self, connection: AsyncConnection, queue: str, payload: str, priority: int) -> int:
        given = priority, queue, payload.encode(), LONG_AGO, CHANNEL
        return int(await _below(connection).fetchval(_ENQUEUE, *given))

    async def claim(self, connection: AsyncConnection, queues: Sequence[str], claimant: uuid.UUID) -> Claimed | None:
        wanted = {QueueEntrypoint(queue): EntrypointExecutionParameter(0) for queue in queues}
        found = await _queries(connection).dequeue(1, wanted, QueueManagerId(claimant), None, FOREVER)
        if not found:
            return None
        waited_s = max(0.0, (found[0].updated - found[0].created).total_seconds())
        return Claimed(int(found[0].id), (found[0].payload or b"").decode(), waited_s)

    async def wake(self, connection: AsyncConnection, queue: str) -> None:
        await _below(connection).execute("SELECT pg_notify($1, $2)", CHANNEL, queue)

    async def waiting(self, connection: AsyncConnection) -> list[str]:
        return [row["entrypoint"] for row in await _below(connection).fetch(_WAITING)]

    async def finish(self, connection: AsyncConnection, entry: int) -> None:
        await _below(connection).execute("DELETE FROM pgqueuer WHERE id = $1", entry)


def taking_out(entry: ColumnElement[Any]) -> CTE:
    """A part of a statement that takes an entry out, as :meth:`Queue.finish` does; NULL: none."""
    entries = table("pgqueuer", column("id", BigInteger))
    return delete(entries).where(entries.c.id == entry).cte("taken_out")


_ENQUEUE = """
INSERT INTO pgqueuer (priority, entrypoint, payload, execute_after, status) VALUES ($1, $2, $3, now() + $4, 'queued')
RETURNING id, pg_notify($5, $2)
"""
_WAITING = """
WITH RECURSIVE found AS (
    (SELECT entrypoint FROM pgqueuer WHERE status = 'queued' ORDER BY entrypoint LIMIT 1)
    UNION ALL
    SELECT (SELECT entrypoint FROM pgqueuer WHERE status = 'queued' AND entrypoint > found.entrypoint ORDER BY entrypoint LIMIT 1)
    FROM found WHERE found.entrypoint IS NOT NULL
)
SELECT entrypoint FROM found WHERE entrypoint IS NOT NULL
"""
"""From one queue to the next by PgQueuer's index, however many entries each holds."""


def _queries(connection: AsyncConnection) -> Queries:
    return Queries(cast(Driver, _Driver(connection)), qbe=_SHARED.qbe, qbq=_SHARED.qbq, qbs=_SHARED.qbs)


def _below(connection: AsyncConnection) -> asyncpg.Connection[Any]:
    """The driver's connection, whose transaction is the one at hand (:meth:`dynolab.hub.store.database.Database.begin`)."""
    assert connection.sync_connection is not None, "the connection is open"
    return cast("asyncpg.Connection[Any]", connection.sync_connection.connection.driver_connection)


class _Driver:
    """PgQueuer's driver port over a connection of SQLAlchemy: its statements join the transaction at hand.

    Of the port there is what these statements use; listening and the life of the connection are not its business.
    """

    def __init__(self, connection: AsyncConnection) -> None:
        self._below = _below(connection)

    async def fetch(self, query: str, *args: object) -> list[dict[str, object]]:
        return [dict(row) for row in await self._below.fetch(query, *args)]

    async def execute(self, query: str, *args: object) -> str:
        return await self._below.execute(query, *args)


_SHARED = Queries(cast(Driver, None))
"""Its builders keep the SQL that they made, and hold nothing of a connection."""
