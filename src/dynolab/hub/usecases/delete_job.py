"""A job is deleted, with what its attempts left."""

from __future__ import annotations

from sqlalchemy import delete, or_, select

from dynolab.errors import Conflict
from dynolab.hub.store.tables import attempt, job, share
from dynolab.hub.usecases.access import find_owned
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.free_blobs import free_blobs
from dynolab.hub.usecases.store_file import COLUMNS
from dynolab.hub.usecases.submit_job import LIVE


async def delete_job(hub: Hub, account: Account, job_id: str) -> None:
    """Results and logs go; model, dataset and the dataset that the job made are objects of their own and stay.

    Raises :class:`NotFound`, :class:`Forbidden` for another's, and :class:`Conflict` for a job that is not over.
    """
    async with hub.database.begin() as connection:
        row = await find_owned(connection, job, job_id, account, "delete", lock="own")
        if row.state in LIVE:
            raise Conflict(f"the job {job_id} is not over: it is {row.state}", hint="cancel it first")
        left = select(*COLUMNS.values()).where(attempt.c.job_id == job_id)
        attempts = (await connection.execute(left)).all()
        blobs = {blob for one in attempts for blob in one} | {row.result_blob_id, row.artifact_blob_id}
        await connection.execute(delete(share).where(or_(share.c.target_id == job_id, share.c.via == job_id)))
        await connection.execute(delete(job).where(job.c.id == job_id))
        await note(connection, "job.delete", "job", job_id, details={"name": row.name})
    await free_blobs(hub, [one for one in blobs if one is not None])
