"""The files of an attempt: those that it is given, and what it leaves: result, outputs, what compile made, log."""

from __future__ import annotations

import re
import secrets
import uuid
from collections.abc import AsyncIterable, AsyncIterator

from sqlalchemy import ARRAY, BigInteger, Column, Text, bindparam, insert, select, update

from dynolab import errors
from dynolab.hub.store.blobs import AT_ONCE_BYTES, Stored
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import attempt, blob, dataset, job, model
from dynolab.hub.usecases.base import Account, Hub, new_id
from dynolab.hub.usecases.begin_upload import check_room, reserve
from dynolab.hub.usecases.check_claimed import check_claimed
from dynolab.hub.usecases.store_part import RESERVE_EVERY_BYTES
from dynolab.spec.agents import LINKED

COLUMNS = {verb: attempt.c[f"{verb}_blob_id"] for verb in ("result", "output", "artifact", "log")}
"""What an attempt may leave, by the verb of the address that it is sent to."""
GIVEN = {
    "model": (model, job.c.model_id),
    "baseline": (model, job.c.baseline_id),
    "dataset": (dataset, job.c.dataset_id),
}
"""What it is given, and :data:`LINKED` with a number, from 0: what a model to link was made of."""


def _noting(column: Column[object]) -> Prepared:
    """Makes a blob and puts it into the attempt's column, if the attempt still runs; the blob's id."""
    named = (
        update(attempt)
        .where(attempt.c.id == bindparam("attempt"), attempt.c.state == "running")
        .where(attempt.c.token_id == bindparam("token"))
        .values({column: bindparam("blob")})
        .returning(attempt.c.job_id)
        .cte("named")
    )
    new = (
        *(bindparam("blob", type_=Text), bindparam("size", type_=BigInteger)),
        *(bindparam("objects", type_=ARRAY(Text)), bindparam("digests", type_=ARRAY(Text))),
    )
    columns = ["id", "bytes", "keys", "digests", "account_id", "in_project"]
    whose = select(*new, job.c.account_id, job.c.in_project).join_from(named, job, job.c.id == named.c.job_id)
    kept = insert(blob).from_select(columns, whose)
    return Prepared(kept.returning(blob.c.id))


NOTING = {verb: _noting(column) for verb, column in COLUMNS.items()}


async def store_file(
    hub: Hub, agent: Account, attempt_id: uuid.UUID, verb: str, chunks: AsyncIterable[bytes], *, size: int | None = None
) -> None:
    """Keep the bytes; what came before under the same verb is replaced. ``size``: how many there are; None: that is not known.

    Raises :class:`NotFound` for an attempt that another token claimed, :class:`Conflict` when it is over, and
    :class:`StorageFull`.
    """
    if size is None or size > AT_ONCE_BYTES:  # of a few it is told once they are there
        async with hub.database.single() as connection:
            if await check_claimed(connection, agent, attempt_id) != "running":
                raise over(attempt_id)
    await check_room(hub, 0)
    stored = await hub.blobs.put(f"attempts/{attempt_id}/{verb}-{secrets.token_hex(4)}", _fitting(hub, chunks))
    await keep_file(hub, agent, attempt_id, verb, stored)


async def keep_file(hub: Hub, agent: Account, attempt_id: uuid.UUID, verb: str, stored: Stored) -> None:
    """Note an object that was written as what the attempt leaves; where that cannot be, it goes. Raises as :func:`store_file`."""
    noted = {"attempt": attempt_id, "blob": new_id("b"), "size": stored.bytes, "objects": [stored.key]}
    noted["digests"] = [stored.sha256]
    is_bound = hub.limits.data_max_bytes is not None
    try:
        async with hub.database.begin() if is_bound else hub.database.single() as connection:
            await reserve(hub, connection, stored.bytes)
            if await NOTING[verb].one_or_none(connection, **noted, token=agent.token_id) is not None:
                return
            await check_claimed(connection, agent, attempt_id)
            raise over(attempt_id)
    except (errors.StorageFull, errors.NotFound, errors.Conflict):
        await hub.blobs.delete([stored.key])
        raise


async def _fitting(hub: Hub, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The bytes, as long as what has come of them fits: a disk is not filled before it is told that they were too many."""
    count = asked = 0
    async for chunk in chunks:
        count += len(chunk)
        if count - asked >= RESERVE_EVERY_BYTES:
            await check_room(hub, count)
            asked = count
        yield chunk


async def given_file(hub: Hub, agent: Account, attempt_id: uuid.UUID, what: str) -> str:
    """The blob of the ``model``, ``baseline`` or ``dataset`` that the attempt is about, or what a model to link was made of: ``linked-0``.

    Raises :class:`NotFound`, :class:`Conflict`.
    """
    if linked := re.fullmatch(LINKED + r"(\d{1,3})", what):
        table, used = model, job.c.source_ids[int(linked[1]) + 1]
    elif what in GIVEN:
        table, used = GIVEN[what]
    else:
        raise errors.NotFound(f"an attempt is given no {what}")
    found = select(table.c.blob_id).join(job, used == table.c.id).join(attempt, attempt.c.job_id == job.c.id)
    async with hub.database.single() as connection:
        if await check_claimed(connection, agent, attempt_id) != "running":
            raise over(attempt_id)
        blob_id: str | None = await connection.scalar(found.where(attempt.c.id == attempt_id))
    if blob_id is None:
        raise errors.NotFound(f"the {what} of the attempt {attempt_id} is gone")
    return blob_id


def over(attempt_id: uuid.UUID) -> errors.Conflict:
    """The error of whoever speaks of an attempt that has ended."""
    return errors.Conflict(f"the attempt {attempt_id} is over: nothing more is taken from it, or given to it")
