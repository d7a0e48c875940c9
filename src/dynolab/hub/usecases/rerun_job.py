"""A job once more, as it was asked for."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select

from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import job, pool
from dynolab.hub.usecases.base import Account, Hub, find_visible
from dynolab.hub.usecases.find_devices import OWNER
from dynolab.hub.usecases.job_request import Comparison, JobRequest
from dynolab.hub.usecases.made_models import specs_of_row
from dynolab.hub.usecases.submit_job import submit_job
from dynolab.spec.runtime_support import ENDS, RUNS
from dynolab.spec.toolchain_support import MAKES


async def rerun_job(hub: Hub, account: Account, job_id: str) -> tuple[str, datetime]:
    """The new job's id and instant; it is the caller's, also where the old one was only shared with the caller, and waits for none.

    Raises what :func:`~dynolab.hub.usecases.submit_job.submit_job` does: model, dataset and device must still be there.
    What else the device could run by then does not matter. One's own job goes to the same owner's devices again.
    """
    owner = select(accounts.c.email).join(pool, pool.c.account_id == accounts.c.id)
    async with hub.database.begin() as connection:
        row = await find_visible(connection, job, job_id, account)
        email = await connection.scalar(owner.where(pool.c.id == row.pool_id)) if row.account_id == account.id else None
    attributes = tuple(one for one in row.device_attributes if not one.startswith((RUNS, ENDS, MAKES)))
    request = JobRequest(
        kind=row.kind,
        model_id=row.model_id,
        device_name=row.device_name,
        device_os=row.device_os,
        device_attributes=attributes if email is None else (*attributes, f"{OWNER}{email}"),
        name=row.name,
        options=row.options,
        measures=row.measures,
        input_shapes=row.input_shapes,
        requirements=tuple(row.requirements),
        keeps_artifact=row.keeps_artifact,
        dataset_id=row.dataset_id,
        comparison=Comparison.of_row(row),
        input_specs=specs_of_row(row),
        weights_dtype=row.weights_dtype or "",
        activations_dtype=row.activations_dtype or "",
        linked_ids=tuple(row.linked_ids or ()),
        priority=row.asked_priority,
        deadline_s=row.deadline_s,
        project_id=row.project_id if row.account_id == account.id else "",
    )
    return await submit_job(hub, account, request)
