"""A file that an attempt leaves: its result, its outputs, its log."""

from __future__ import annotations

import secrets
import uuid
from collections.abc import AsyncIterable

from sqlalchemy import insert, update

from dynolab import errors
from dynolab.hub.store.links import Link
from dynolab.hub.store.tables import attempt, blob
from dynolab.hub.usecases.base import Hub, new_id

COLUMNS = {"result": attempt.c.result_blob_id, "output": attempt.c.output_blob_id, "log": attempt.c.log_blob_id}
"""What an attempt may leave, by the verb of the address that it is sent to."""


async def store_file(hub: Hub, link: Link, chunks: AsyncIterable[bytes]) -> None:
    """Keep the bytes; what came before under the same verb is replaced. Raises :class:`Conflict` when the attempt is over."""
    attempt_id, column = uuid.UUID(link.target), COLUMNS[link.verb]
    stored = await hub.blobs.put(f"attempts/{link.target}/{link.verb}-{secrets.token_hex(4)}", chunks)
    values = {"id": new_id("b"), "bytes": stored.bytes, "keys": [stored.key]}
    try:
        async with hub.database.begin() as connection:
            running = attempt.c.id == attempt_id, attempt.c.state == "running"
            named = update(attempt).where(*running).values({column: values["id"]}).returning(attempt.c.id)
            kept = insert(blob).values(values).cte("kept")
            if await connection.scalar(named.add_cte(kept)) is None:
                raise errors.Conflict(f"the attempt {attempt_id} is over: nothing more is taken from it")
    except errors.Conflict:
        await hub.blobs.delete([stored.key])
        raise
