"""Blobs that nobody refers to any more go, with their objects."""

from __future__ import annotations

from collections.abc import Collection
from datetime import timedelta

from sqlalchemy import ColumnElement, and_, delete, exists, func, select

from dynolab.hub.store.blobs import KEEP_LOCK
from dynolab.hub.store.tables import blob, metadata
from dynolab.hub.usecases.base import Hub

BATCH = 100
LOOKED_AT = 5_000
"""Blobs that one sweep asks about: whether somebody refers to one is asked of every column that may."""
GRACE = timedelta(hours=1)
"""So long a blob may be there before somebody refers to it; all that is known refers to it at once."""


def _referred() -> list[ColumnElement[bool]]:
    """One condition for every column that refers to blobs, whichever table has it."""
    keys = [key for table in metadata.tables.values() for key in table.foreign_keys if key.column is blob.c.id]
    return [exists().where(key.parent == blob.c.id) for key in keys]


async def free_blobs(hub: Hub, ids: Collection[str] | None = None) -> int:
    """Remove those of these blobs that nobody refers to. How many went.

    ``ids`` None: of those that are older than an hour, among the next :data:`LOOKED_AT` after where the last call ended; so all are
    looked at in turn, however many there are.

    The objects go first and the rows after them, in one transaction: cut short, it is done again by the next sweep. A row
    that another replica has in hand is left to it; while a backup is made, all are left to a later sweep.
    """
    if ids is not None:
        return await _free(hub, blob.c.id.in_(list(ids))) if ids else 0
    after = hub.looked_at.get(blob.name, "")
    window = select(blob.c.id).where(blob.c.id > after).order_by(blob.c.id).limit(LOOKED_AT).subquery()
    async with hub.database.single() as connection:
        count, last = (await connection.execute(select(func.count(), func.max(window.c.id)))).one()
    if last is None:  # the table's end
        hub.looked_at[blob.name] = ""
        return 0
    freed = await _free(hub, and_(blob.c.id > after, blob.c.id <= last, blob.c.created_at < func.now() - GRACE))
    hub.looked_at[blob.name] = last if count == LOOKED_AT else ""
    return freed


async def _free(hub: Hub, chosen: ColumnElement[bool]) -> int:
    orphans = select(blob).where(chosen, *(~one for one in _referred())).limit(BATCH)
    count = 0
    while True:
        async with hub.database.begin() as connection:
            if not await connection.scalar(select(func.pg_try_advisory_xact_lock_shared(KEEP_LOCK))):
                return count
            rows = (await connection.execute(orphans.with_for_update(skip_locked=True))).all()
            for row in rows:
                await hub.blobs.delete(row.keys)
            await connection.execute(delete(blob).where(blob.c.id.in_([row.id for row in rows])))
        count += len(rows)
        if len(rows) < BATCH:
            return count
