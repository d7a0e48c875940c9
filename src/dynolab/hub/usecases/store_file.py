"""A file that an attempt leaves: its result, its outputs, what compile made, its log."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterable

from sqlalchemy import ARRAY, BigInteger, Column, Text, bindparam, insert, select, update

from dynolab import errors
from dynolab.hub.store.links import Link
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import attempt, blob
from dynolab.hub.usecases.base import Hub, new_id

COLUMNS = {verb: attempt.c[f"{verb}_blob_id"] for verb in ("result", "output", "artifact", "log")}
"""What an attempt may leave, by the verb of the address that it is sent to."""


def _noting(column: Column[object]) -> Prepared:
    """Makes a blob and puts it into the attempt's column, if the attempt still runs; the blob's id."""
    named = (
        update(attempt)
        .where(attempt.c.id == bindparam("attempt"), attempt.c.state == "running")
        .values({column: bindparam("blob")})
        .returning(attempt.c.id)
        .cte("named")
    )
    new = (bindparam("blob", type_=Text), bindparam("size", type_=BigInteger), bindparam("objects", type_=ARRAY(Text)))
    kept = insert(blob).from_select(["id", "bytes", "keys"], select(*new).select_from(named))
    return Prepared(kept.returning(blob.c.id))


NOTING = {verb: _noting(column) for verb, column in COLUMNS.items()}


async def store_file(hub: Hub, link: Link, chunks: AsyncIterable[bytes]) -> None:
    """Keep the bytes; what came before under the same verb is replaced. Raises :class:`Conflict` when the attempt is over."""
    stored = await hub.blobs.put(f"attempts/{link.target}/{link.verb}-{secrets.token_hex(4)}", chunks)
    noted = {"attempt": uuid.UUID(link.target), "blob": new_id("b"), "size": stored.bytes, "objects": [stored.key]}
    async with hub.database.single() as connection:
        if await NOTING[link.verb].one_or_none(connection, **noted) is not None:
            return
    await hub.blobs.delete([stored.key])
    raise errors.Conflict(f"the attempt {link.target} is over: nothing more is taken from it")
