"""A model is deleted, with its bytes."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, Table, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict
from dynolab.hub.store.tables import attempt, job, model, share, upload, upload_part
from dynolab.hub.usecases.access import find_owned
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub, job_uses
from dynolab.hub.usecases.free_blobs import free_blobs
from dynolab.hub.usecases.submit_job import LIVE
from dynolab.hub.usecases.withdraw_jobs import withdraw_jobs


async def delete_model(hub: Hub, account: Account, model_id: str) -> None:
    """Its bytes, its open uploads and its sharing go; the jobs that used it keep its name.

    Raises :class:`NotFound`, :class:`Forbidden` for another's, and :class:`Conflict` while a job that is not over uses it.
    """
    async with hub.database.begin() as connection:
        row = await find_owned(connection, model, model_id, account, "delete", lock="own")
        keys = await mark_deleted(hub, connection, model, row)
        await note(connection, "model.delete", "model", model_id, details={"name": row.name})
    await hub.blobs.delete(keys)
    await free_blobs(hub, [row.blob_id] if row.blob_id else [])


async def mark_deleted(hub: Hub, connection: AsyncConnection, table: Table, row: Row[Any]) -> list[str]:
    """Mark the row of a model or dataset, which is locked, as deleted; the keys of the parts of its open uploads.

    Raises :class:`Conflict` while a job of its owner's, or of its project, that is not over uses it; those of others that wait fail.
    """
    used = job_uses(table, [row.id])
    same = job.c.account_id == row.account_id if row.in_project is None else job.c.in_project == row.in_project
    own = used, same, job.c.state.in_(LIVE)
    user = await connection.scalar(select(job.c.id).where(*own).limit(1))
    if user is not None:
        raise Conflict(f"the job {user} still uses the {table.name} {row.id}", hint="wait for its end, or cancel it")
    if table is model and row.blob_id is None and row.producer_id:
        making = job.c.id == row.producer_id, job.c.state.in_(LIVE)
        if await connection.scalar(select(job.c.id).where(*making)) is not None:
            raise Conflict(f"the job {row.producer_id} still makes the model {row.id}", hint="cancel that job first")
    unfinished = select(upload.c.id).where(upload.c.target_id == row.id, upload.c.completed_at.is_(None))
    keys = select(upload_part.c.key).where(upload_part.c.upload_id.in_(unfinished))
    found = list((await connection.execute(keys)).scalars())
    await connection.execute(delete(upload).where(upload.c.target_id == row.id))
    await connection.execute(delete(share).where(share.c.target_id == row.id))
    if row.blob_id is not None:  # what a job made is its attempt's as well
        made = attempt.c.output_blob_id == row.blob_id
        await connection.execute(update(attempt).where(made).values(output_blob_id=None))
    gone = {"deleted_at": func.now(), "blob_id": None}
    await connection.execute(update(table).where(table.c.id == row.id).values(gone))
    await withdraw_jobs(hub, connection, used)
    return found
