"""A job once more, as it was asked for."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import job, pool
from dynolab.hub.usecases.access import find_visible, projects_of
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_devices import OWNER
from dynolab.hub.usecases.job_request import Comparison, JobRequest
from dynolab.hub.usecases.made_models import specs_of_row
from dynolab.hub.usecases.policy import Verb
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
        project_id = await _project_id(connection, account, row)
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
        project_id=project_id,
    )
    return await submit_job(hub, account, request)


async def _project_id(connection: AsyncConnection, account: Account, row: Row[Any]) -> str:
    """The job's project, if the account may submit there; else its personal space, and the label if it is the account's own."""
    if row.in_project is None:
        return str(row.project_id) if row.account_id == account.id else ""
    there = set((await connection.execute(projects_of(account, Verb.CREATE))).scalars())
    return str(row.in_project) if row.in_project in there else ""
