"""Objects that nobody refers to: what a hub had written, and was killed before it noted it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import select

from dynolab.hub.store.direct import PREFIXES
from dynolab.hub.store.tables import blob, upload_part
from dynolab.hub.usecases.base import Hub

UNFINISHED_LIFE = timedelta(days=2)
"""Of uploads to the store itself: longer than their addresses are good for."""


async def sweep_objects(hub: Hub) -> None:
    """One round through the whole store. An object goes when, ``orphan_age_s`` after a round that found it so, nobody refers to it.

    An object is there only once it is complete, and is noted right then. That the two rounds are compared, and not the
    object's own time, is because S3 gives objects the time when their upload began (AWS, CreateMultipartUpload).
    """
    now, seen = time.monotonic(), hub.unnamed.copy()
    hub.unnamed.clear()
    for prefix in PREFIXES:
        async for keys in hub.blobs.pages(prefix):
            unnamed = await _unnamed(hub, keys)
            since = {key: seen.get(key, now) for key in unnamed}
            old = [key for key in unnamed if now - since[key] >= hub.limits.orphan_age_s]
            await hub.blobs.delete(old)
            hub.unnamed.update({key: since[key] for key in unnamed if key not in old})
    if hub.direct is not None:
        await hub.direct.abort_older(UNFINISHED_LIFE)
    await asyncio.to_thread(hub.blobs.drop_unfinished, hub.limits.orphan_age_s)


async def _unnamed(hub: Hub, keys: Sequence[str]) -> list[str]:
    """Those of the objects that neither a blob nor an open upload names."""
    uploads = {parts[1] for key in keys if len(parts := key.split("/")) > 1}
    async with hub.database.begin() as connection:
        overlapping = await connection.execute(select(blob.c["keys"]).where(blob.c["keys"].overlap(list(keys))))
        named = {key for row in overlapping.scalars() for key in row}
        parts_of = select(upload_part.c.key).where(upload_part.c.upload_id.in_(uploads))
        named |= set((await connection.execute(parts_of)).scalars())
    return [key for key in keys if key not in named]
