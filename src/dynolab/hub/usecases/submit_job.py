"""A job is submitted: checked, kept and queued in one transaction."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict, NotFound, SpecInvalid
from dynolab.hub.store.tables import dataset, job, model
from dynolab.hub.usecases.base import Account, Hub, checked_name, new_id, one
from dynolab.hub.usecases.find_devices import find_devices
from dynolab.spec import options as options_module

LIVE = ("queued", "preparing", "running")
KEY_LIFE = timedelta(days=1)
"""How long an idempotency key stands for its job."""


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a job is to do. ``kind``: ``profile``, or ``inference`` (with a dataset)."""

    kind: str
    model_id: str
    device_name: str
    device_os: str
    device_attributes: tuple[str, ...] = ()
    name: str = ""
    options: str = ""
    measures: bool = True
    dataset_id: str | None = None
    project_id: str = ""
    idempotency_key: str | None = None
    """The same key of the same account within a day stands for the same job."""


async def submit_job(hub: Hub, account: Account, request: JobRequest) -> tuple[str, datetime]:
    """The new job's id and instant.

    Raises :class:`NotFound` for a model, dataset or device that is not there, :class:`Conflict` for a model whose bytes
    have not come or an idempotency key that stands for another request, :class:`SpecInvalid` for options that nobody knows.
    """
    options_module.parse(request.options)
    devices = await find_devices(
        hub, name=request.device_name, os=request.device_os, attributes=request.device_attributes
    )
    if not devices:
        wanted = " ".join(filter(None, (request.device_name, request.device_os, *request.device_attributes)))
        raise NotFound(f"no device matches {wanted!r}", hint="`dynolab devices` lists those that are known")
    chosen = devices[0]
    job_id = new_id("j")
    async with hub.database.begin() as connection:
        before = await _submitted(connection, account, request)
        if before is not None:
            return before
        source = await one(connection, model, request.model_id, account, lock="share")
        if source.blob_id is None:
            raise Conflict(f"the model {request.model_id} has no bytes yet", hint="complete its upload first")
        if request.dataset_id is not None:
            data = await one(connection, dataset, request.dataset_id, account, lock="share")
            if data.blob_id is None:
                raise Conflict(f"the dataset {request.dataset_id} has no bytes yet", hint="complete its upload first")
        elif request.kind != "profile":
            raise SpecInvalid(f"a job of kind {request.kind} needs a dataset")
        waiting = select(func.count()).where(
            job.c.account_id == account.id,
            job.c.device_name == chosen.name,
            job.c.device_os == chosen.os,
            job.c.state == "queued",
        )
        priority = -int(await connection.scalar(waiting) or 0)  # fair shares: who has many waiting stands further back
        values = {
            "id": job_id,
            "account_id": account.id,
            "kind": request.kind,
            "name": checked_name(request.name, "job") or source.name,
            "project_id": request.project_id,
            "model_id": request.model_id,
            "dataset_id": request.dataset_id,
            "device_name": chosen.name,
            "device_os": chosen.os,
            "device_attributes": list(chosen.attributes),
            "options": request.options.strip(),
            "measures": request.measures,
            "priority": priority,
            "state": "queued",
            "idempotency_key": request.idempotency_key,
        }
        values["queue_entry"] = await hub.queue.enqueue(connection, chosen.queue, job_id, priority)
        created = await connection.scalar(insert(job).values(values).returning(job.c.created_at))
    if created is None:
        raise Conflict("the job was not kept")
    return job_id, created


async def _submitted(connection: AsyncConnection, account: Account, request: JobRequest) -> tuple[str, datetime] | None:
    """The job that the request's key stands for already; requests of one key wait for each other here."""
    key = request.idempotency_key
    if key is None:
        return None
    await connection.execute(select(func.pg_advisory_xact_lock(func.hashtextextended(f"{account.id} {key}", 0))))
    found = select(job).where(
        job.c.account_id == account.id, job.c.idempotency_key == key, job.c.created_at > func.now() - KEY_LIFE
    )
    row = (await connection.execute(found.order_by(job.c.created_at.desc()).limit(1))).one_or_none()
    if row is None:
        return None
    asked = (request.kind, request.model_id, request.dataset_id, request.options.strip())
    if asked != (row.kind, row.model_id, row.dataset_id, row.options):
        raise Conflict(
            f"the idempotency key {key!r} stands for another request, which made the job {row.id}",
            hint="a new request needs a new key",
        )
    return row.id, row.created_at
