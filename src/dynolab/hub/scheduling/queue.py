"""The queue of jobs: its verbs act inside the caller's own transaction, or are parts of its statements. The tables are PgQueuer's.

What comes and goes one by one has plainer statements here than PgQueuer's, which are for many at once: its ``dequeue`` is
planned anew with each call, which costs more than to carry it out.

A claimed entry stays claimed until somebody takes it out. Leases are those of attempts: one place alone decides that an
agent is lost, and puts its job into the queue again (:func:`dynolab.hub.usecases.end_attempt.sweep_leases`).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, Protocol, cast

import asyncpg
from sqlalchemy import (
    CTE,
    BigInteger,
    ColumnElement,
    DateTime,
    Float,
    FromClause,
    Integer,
    LargeBinary,
    Text,
    any_,
    column,
    delete,
    exists,
    func,
    literal_column,
    select,
    table,
    true,
    update,
)
from sqlalchemy import (
    cast as sql_cast,
)
from sqlalchemy.ext.asyncio import AsyncConnection

CHANNEL = "dynolab_queue"
"""Notified with a queue's name in the transaction that puts something into it."""

LONG_AGO = timedelta(days=-36500)
"""From when on an entry may be claimed. With PgQueuer's own default, the moment when it came, a clock that is set back would
hide all that wait for as long."""


_ENTRIES = table(
    "pgqueuer",
    column("id", BigInteger),
    column("entrypoint", Text),
    column("priority", Integer),
    column("payload", LargeBinary),
    column("created", DateTime(timezone=True)),
    column("updated"),
    column("heartbeat"),
    column("execute_after", DateTime(timezone=True)),
    column("status"),
    column("queue_manager_id"),
)
_QUEUED: ColumnElement[Any] = literal_column("'queued'")
_PICKED: ColumnElement[Any] = literal_column("'picked'")


class Queue(Protocol):
    """What the hub asks of a queue. All calls take part in the connection's transaction."""

    async def enqueue(self, connection: AsyncConnection, queue: str, payload: str, priority: int) -> int:
        """Put a payload into a queue and wake who waits for it; the entry's number. Higher priorities come first."""

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

    async def wake(self, connection: AsyncConnection, queue: str) -> None:
        await _below(connection).execute("SELECT pg_notify($1, $2)", CHANNEL, queue)

    async def waiting(self, connection: AsyncConnection) -> list[str]:
        return [row["entrypoint"] for row in await _below(connection).fetch(_WAITING)]

    async def finish(self, connection: AsyncConnection, entry: int) -> None:
        await _below(connection).execute("DELETE FROM pgqueuer WHERE id = $1", entry)


def next_entry(queues: FromClause) -> CTE:
    """A part of a statement that finds the entry that is next, and locks it: its ``id``, ``payload`` and ``waited_s``; others pass it over.

    ``queues``: what has the queues' names in the column ``name``. Only with :func:`claiming` does it stay claimed beyond the transaction.
    ``waited_s`` is how long it has been in the queue, by the database's clock.
    """
    entry = _ENTRIES.c
    first = (
        select(entry.id, entry.payload, entry.created, entry.priority)
        .where(entry.entrypoint == queues.c.name, entry.status == _QUEUED, entry.execute_after < func.now())
        .order_by(entry.priority.desc(), entry.id)
        .limit(1)
        .with_for_update(skip_locked=True)
        .lateral("first")
    )
    waited_s = sql_cast(func.greatest(0, func.extract("epoch", func.now() - first.c.created)), Float)
    # Of its own accord the function gives a text in the order of names ("C"), and no index of a column of text would serve it.
    payload = func.convert_from(first.c.payload, "UTF8", type_=Text).collate("default")
    return (
        select(first.c.id, payload.label("payload"), waited_s.label("waited_s"))
        .select_from(queues.join(first, true()))
        .order_by(first.c.priority.desc(), first.c.id)
        .limit(1)
        .cte("entry")
    )


def claiming(entry: ColumnElement[Any], claimant: ColumnElement[Any]) -> CTE:
    """A part of a statement that claims an entry of :func:`next_entry`."""
    values = {"status": _PICKED, "updated": func.now(), "heartbeat": func.now(), "queue_manager_id": claimant}
    return update(_ENTRIES).where(_ENTRIES.c.id == entry).values(values).cte("claimed")


def has_others(queues: ColumnElement[Any], entry: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether these queues, an array, hold an entry besides this one (NULL: any) that nobody has claimed, be it locked."""
    others = _ENTRIES.c.entrypoint == any_(queues), _ENTRIES.c.status == _QUEUED, _ENTRIES.c.id.is_distinct_from(entry)
    return exists().where(*others)


def first_priority(
    queues: Sequence[ColumnElement[Any]], at_least: ColumnElement[Any], at_most: ColumnElement[Any]
) -> ColumnElement[Any]:
    """The priority of the entry that is next in these queues, of those in a range that nobody has claimed; NULL: there is none."""
    entry = _ENTRIES.c
    waiting = entry.status == _QUEUED, entry.priority.between(at_least, at_most)
    of_each = (
        select(entry.priority)
        .where(entry.entrypoint == queue, *waiting)
        .order_by(entry.priority.desc())
        .limit(1)
        .scalar_subquery()
        for queue in queues
    )
    return func.greatest(*of_each)


def taking_out(entry: ColumnElement[Any]) -> CTE:
    """A part of a statement that takes an entry out, as :meth:`Queue.finish` does; NULL: none."""
    return delete(_ENTRIES).where(_ENTRIES.c.id == entry).cte("taken_out")


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


def _below(connection: AsyncConnection) -> asyncpg.Connection[Any]:
    """The driver's connection, whose transaction is the one at hand (:meth:`dynolab.hub.store.database.Database.begin`)."""
    assert connection.sync_connection is not None, "the connection is open"
    return cast("asyncpg.Connection[Any]", connection.sync_connection.connection.driver_connection)
