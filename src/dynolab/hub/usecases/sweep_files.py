"""Bytes that nobody needs any more: uploads that were given up, datasets past their end, blobs without an owner, the ends of logs."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, exists, func, select

from dynolab.hub.store.tables import attempt, blob, dataset, job, live_log, upload
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.begin_upload import FORM, direct_key
from dynolab.hub.usecases.delete_model import mark_deleted
from dynolab.hub.usecases.free_blobs import free_blobs
from dynolab.hub.usecases.submit_job import LIVE

UPLOAD_LIFE = timedelta(days=1)
"""As long as the addresses of its parts are good for."""
BATCH = 100


async def sweep_files(hub: Hub) -> None:
    """One round. Several replicas may do it at once: what one has in hand, the others pass over."""
    await _uploads(hub)
    await _datasets(hub)
    await free_blobs(hub)
    await _live_logs(hub)


async def _live_logs(hub: Hub) -> None:
    """What was told of logs that are there as a whole now."""
    whole = exists().where(attempt.c.id == live_log.c.attempt_id, attempt.c.log_blob_id.is_not(None))
    async with hub.database.begin() as connection:
        await connection.execute(delete(live_log).where(whole))


async def _uploads(hub: Hub) -> None:
    """Uploads of a day ago: what of their objects is no blob's goes, and then their rows."""
    old = (
        select(upload.c.id, upload.c.direct, upload.c.completed_at)
        .where(upload.c.created_at < func.now() - UPLOAD_LIFE)
        .limit(BATCH)
    )
    while True:
        async with hub.database.begin() as connection:
            rows = (await connection.execute(old.with_for_update(skip_locked=True))).all()
            ids = [row.id for row in rows]
            for upload_id, way, completed_at in rows:
                if way not in (None, FORM) and completed_at is None and hub.direct is not None:
                    await hub.direct.abort(direct_key(upload_id), way)
                keys = await hub.blobs.keys(f"uploads/{upload_id}")
                kept = select(blob.c["keys"]).where(blob.c["keys"].overlap(keys))
                used = {key for row in (await connection.execute(kept)).scalars() for key in row} if keys else set()
                await hub.blobs.delete([key for key in keys if key not in used])
            await connection.execute(delete(upload).where(upload.c.id.in_(ids)))
        if len(ids) < BATCH:
            return


async def _datasets(hub: Hub) -> None:
    """Datasets past their end, unless a job that is not over still uses them."""
    used = exists().where(job.c.dataset_id == dataset.c.id, job.c.state.in_(LIVE))
    expired = select(dataset).where(dataset.c.expires_at < func.now(), dataset.c.deleted_at.is_(None), ~used)
    while True:
        async with hub.database.begin() as connection:
            locked = expired.limit(BATCH).with_for_update(skip_locked=True)
            rows = (await connection.execute(locked)).all()
            keys = [key for row in rows for key in await mark_deleted(hub, connection, dataset, row)]
        await hub.blobs.delete(keys)
        await free_blobs(hub, [row.blob_id for row in rows if row.blob_id is not None])
        if len(rows) < BATCH:
            return
