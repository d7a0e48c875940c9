"""One part of an upload arrives."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterable, AsyncIterator
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.dialects.postgresql import insert

from dynolab.errors import Conflict, NotFound, SpecInvalid, TooLarge
from dynolab.hub.store.blobs import Stored
from dynolab.hub.store.links import Link
from dynolab.hub.store.tables import upload, upload_part
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.begin_upload import reserve_come

RESERVE_EVERY_BYTES = 8 << 20
"""How many bytes of an upload of unknown size may come before the bound of all bytes is asked about again."""


async def store_part(hub: Hub, link: Link, chunks: AsyncIterable[bytes], *, length: int | None = None) -> Stored:
    """Write the part and note it; one that is sent again replaces what came before.

    Raises :class:`SpecInvalid` when other than ``length`` bytes came, or others than the upload's size leaves for it, and
    :class:`TooLarge` and :class:`StorageFull` as soon as too many came where no size was told.
    """
    async with hub.database.begin() as connection:
        row = _open((await connection.execute(select(upload).where(upload.c.id == link.target))).one_or_none())
    expected = _expected(row.bytes, row.part_bytes, link.number)
    if expected is not None and length not in (None, expected):
        raise _wrong_size(link, f"{length}", expected)
    flowing = _reserved(hub, link, chunks) if expected is None else _no_more_than(expected, link, chunks)
    stored = await hub.blobs.put(f"uploads/{link.target}/{link.number:05d}-{secrets.token_hex(4)}", flowing)
    try:
        for size in (length, expected):
            if size not in (None, stored.bytes):
                raise _wrong_size(link, f"{stored.bytes}", size)
        before = await note_part(hub, link, stored)
    except (SpecInvalid, Conflict, NotFound):
        await hub.blobs.delete([stored.key])
        raise
    if before is not None:
        await hub.blobs.delete([before])
    return stored


async def _no_more_than(expected: int, link: Link, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    count = 0
    async for chunk in chunks:
        count += len(chunk)
        if count > expected:
            raise _wrong_size(link, f"{count} or more", expected)
        yield chunk


async def _reserved(hub: Hub, link: Link, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The bytes of an upload that told no size; what has come counts against the bounds while it still comes."""
    count = reserved = 0
    try:
        async for chunk in chunks:
            count += len(chunk)
            if count > hub.limits.model_max_bytes:
                raise TooLarge(f"more than {hub.limits.model_max_bytes} bytes came, which is the most this hub takes")
            if reserved == 0 or count - reserved >= RESERVE_EVERY_BYTES:
                await reserve_come(hub, link.target, count)
                reserved = count
            yield chunk
        await reserve_come(hub, link.target, count)
    except Exception:
        await reserve_come(hub, link.target, 0)
        raise


async def note_part(hub: Hub, link: Link, stored: Stored) -> str | None:
    """Put the part into the upload, if that is still open; the key of the object that it replaces."""
    values = {"key": stored.key, "bytes": stored.bytes, "etag": stored.etag, "sha256": stored.sha256}
    async with hub.database.begin() as connection:
        still = select(upload).where(upload.c.id == link.target).with_for_update(read=True)
        _open((await connection.execute(still)).one_or_none())
        same = (upload_part.c.upload_id == link.target, upload_part.c.number == link.number)
        before: str | None = await connection.scalar(select(upload_part.c.key).where(*same).with_for_update())
        await connection.execute(
            insert(upload_part)
            .values(upload_id=link.target, number=link.number, **values)
            .on_conflict_do_update(index_elements=["upload_id", "number"], set_=values)
        )
    return before


def _open(row: Row[Any] | None) -> Row[Any]:
    """The upload, if it takes parts."""
    if row is None:
        raise NotFound("this upload is not known, or was swept")
    if row.completed_at is not None:
        raise Conflict("this upload is complete already")
    return row


def _expected(size: int | None, part_bytes: int | None, number: int) -> int | None:
    """How many bytes a part must have, or None where the upload's size is not known."""
    if size is None or part_bytes is None:
        return size
    return max(0, min(part_bytes, size - number * part_bytes))


def _wrong_size(link: Link, came: str, expected: int | None) -> SpecInvalid:
    return SpecInvalid(f"part {link.number} has {came} bytes, {expected} were expected", hint="send it again")
