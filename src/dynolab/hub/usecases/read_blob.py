"""The bytes of a blob."""

from __future__ import annotations

from collections.abc import AsyncIterator

from sqlalchemy import select

from dynolab.errors import NotFound, TooLarge
from dynolab.hub.store.tables import blob
from dynolab.hub.usecases.base import Hub


async def read_blob(hub: Hub, blob_id: str) -> tuple[int, AsyncIterator[bytes]]:
    """Size and bytes, whose first are there: an answer need not begin before. Raises :class:`NotFound`, :class:`Unavailable`."""
    async with hub.database.begin() as connection:
        row = (await connection.execute(select(blob).where(blob.c.id == blob_id))).one_or_none()
    if row is None:
        raise NotFound("this file is gone")
    chunks = hub.blobs.stream(row.keys)
    try:
        first = await anext(chunks, b"")
    except FileNotFoundError as error:
        raise NotFound("this file is gone") from error
    return row.bytes, _joined(first, chunks)


async def direct_address(hub: Hub, blob_id: str, name: str) -> str | None:
    """Where a client reads the blob in the store itself, as a file of this name; None: through the hub. Raises :class:`NotFound`."""
    if hub.direct is None:
        return None
    async with hub.database.single() as connection:
        keys: list[str] | None = await connection.scalar(select(blob.c["keys"]).where(blob.c.id == blob_id))
    if keys is None:
        raise NotFound("this file is gone")
    return hub.direct.address(keys[0], name) if len(keys) == 1 else None


async def _joined(first: bytes, rest: AsyncIterator[bytes]) -> AsyncIterator[bytes]:
    yield first
    async for chunk in rest:
        yield chunk


async def blob_size(hub: Hub, blob_id: str) -> int:
    """How many bytes a blob has. Raises :class:`NotFound`."""
    async with hub.database.begin() as connection:
        size: int | None = await connection.scalar(select(blob.c.bytes).where(blob.c.id == blob_id))
    if size is None:
        raise NotFound("this file is gone")
    return size


async def read_all(hub: Hub, blob_id: str, most: int) -> bytes:
    """All bytes of a small blob, such as a result. Raises :class:`TooLarge` for one with more than ``most``."""
    size, chunks = await read_blob(hub, blob_id)
    if size > most:
        raise TooLarge(
            f"the document has {size} bytes, more than the {most} that are read here",
            hint="fetch it: GET /api/hub/v1/jobs/ID/profile",
        )
    return b"".join([chunk async for chunk in chunks])
