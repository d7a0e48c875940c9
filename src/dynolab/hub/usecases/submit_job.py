"""A job is submitted: checked, kept and queued in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from sqlalchemy import Row, bindparam, insert, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab import tracing
from dynolab.errors import Conflict, Forbidden, NotFound, SpecInvalid
from dynolab.hub.store.database import after_commit
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import dataset, dependency, job, model, pool
from dynolab.hub.telemetry import metrics
from dynolab.hub.usecases.access import find_visible, readable
from dynolab.hub.usecases.base import Account, Hub, checked_name, new_id
from dynolab.hub.usecases.enqueue_job import enqueue_job
from dynolab.hub.usecases.find_devices import DeviceModel, find_devices
from dynolab.hub.usecases.find_submitted import find_submitted, locking
from dynolab.hub.usecases.find_toolchain import find_toolchain
from dynolab.hub.usecases.job_request import (
    JobRequest,
    check_request,
    checked_requirements,
    plain_shapes,
    widths,
    with_time,
)
from dynolab.hub.usecases.made_models import seed_target, specs_for_row
from dynolab.hub.usecases.place import SENDER, Place, Sender, find_place
from dynolab.hub.usecases.pool_rights import may_send
from dynolab.hub.usecases.quotas import Owner, check_bytes, check_jobs
from dynolab.hub.usecases.release_waiting import dependency_failed
from dynolab.spec import compile_options
from dynolab.spec import options as options_module
from dynolab.spec.chipsets import FOR_CHIPSET, chipset_of
from dynolab.spec.runtime_support import check_own_options, check_runtime_support, is_simulated
from dynolab.spec.toolchain_support import LINK, LINKED_KIND, MAKING, QUANTIZE, toolchain

NO_DEVICE = DeviceModel("", "", (), "", "", "", is_own=False, names_owner=False)
LIVE = ("queued", "preparing", "running")
KEPT = (
    *("id", "account_id", "kind", "name", "project_id", "in_project", "model_id", "dataset_id", "baseline_id"),
    *("comparison", "pool_id", "toolchain", "target_model_id", "input_specs", "weights_dtype", "activations_dtype"),
    *("linked_ids", "source_ids", "device_name", "device_os", "device_attributes", "options", "measures"),
    *("input_shapes", "requirements", "keeps_artifact", "asked_priority", "deadline_s", "state"),
    *("idempotency_key", "traceparent", "priority", "queue_entry"),
)
"""The columns of a new job's row that are given."""


_KEEPING = Prepared(insert(job).values({name: bindparam(name) for name in KEPT}).returning(job.c.created_at))
_HOLDING = Prepared(
    select(model.c.id).where(model.c.id == bindparam("model"), model.c.blob_id.is_not(None)).with_for_update(read=True)
)
_LOCKING_POOL = Prepared(select(pool.c.id).where(pool.c.id == bindparam("pool")).with_for_update(read=True))
_OPEN_POOL = Prepared(select(pool.c.id).where(pool.c.id == bindparam("pool"), may_send(SENDER)))


async def submit_job(hub: Hub, account: Account, request: JobRequest) -> tuple[str, datetime]:
    """The new job's id and instant.

    Raises :class:`NotFound` for a model, dataset or device that is not there, :class:`Conflict` for a model whose bytes
    have not come or an idempotency key that stands for another request, :class:`SpecInvalid` for options that nobody knows
    and for what the device cannot run or no toolchain makes, and :class:`DependencyFailed` for a job to wait for that did not
    end well. A job on a model that another job is still to make waits for that job.
    """
    check_request(request)
    required = checked_requirements(request.requirements)
    job_id = new_id("j")
    async with hub.database.begin(locking(account, request)) as connection:
        place = await find_place(connection, account, request.project_id)
        devices = [] if request.kind == "quantize" else await _devices(hub, connection, place, request)
        chosen = devices[0] if devices else NO_DEVICE
        _check_chipset(request, chosen)
        request = with_time(_as_simulated(request, chosen), hub.limits.run_s)
        before = await find_submitted(connection, place, request)
        if before is not None:
            return before
        await check_jobs(hub, connection, Owner(account.id, place.in_project))
        source = await _model(connection, account, request.model_id)
        sources = [source]
        others = request.linked_ids if request.comparison is None else (request.comparison.baseline_id,)
        sources += [await _model(connection, account, one) for one in others]
        job_name = checked_name(request.name, "job") or source.name
        pool_id, job_toolchain, made, made_of = chosen.pool_id, None, None, None
        if request.kind in MAKING:
            job_toolchain, kind, suffix = _making(request, sources)
            await check_bytes(hub, connection, Owner(account.id, place.in_project), 0)
            pool_id = await find_toolchain(connection, place.sender, job_toolchain)
            if request.kind == "link":
                made_of = await _made_of(connection, account, sources)
            made = await seed_target(connection, place, job_id, job_name, suffix=suffix, kind=kind)
        else:
            _check_support(request, [one.kind for one in sources], devices)
        if request.dataset_id is not None:
            data = await find_visible(connection, dataset, request.dataset_id, account, lock="share")
            if data.blob_id is None:
                raise Conflict(f"the dataset {request.dataset_id} has no bytes yet", hint="complete its upload first")
        await _check_pool(connection, place.sender, pool_id, chosen.name)
        producers = [one.producer_id for one in sources if one.blob_id is None]
        needed = list(dict.fromkeys([*request.waits_for, *producers]))
        unready = await _unready(connection, account, needed, producers)
        for one in sources:
            if one.blob_id is None and one.producer_id not in unready:  # it was made just now
                await _model(connection, account, one.id)
        values = {
            "id": job_id,
            "account_id": account.id,
            "kind": request.kind,
            "name": job_name,
            **place.columns,
            "model_id": request.model_id,
            "dataset_id": request.dataset_id,
            "baseline_id": None if request.comparison is None else request.comparison.baseline_id,
            "comparison": None if request.comparison is None else request.comparison.document(),
            "pool_id": pool_id,
            "toolchain": job_toolchain,
            "target_model_id": made,
            "input_specs": specs_for_row(request.input_specs),
            "weights_dtype": request.weights_dtype or None,
            "activations_dtype": request.activations_dtype or None,
            "linked_ids": list(request.linked_ids) or None,
            "source_ids": made_of,
            "device_name": chosen.name,
            "device_os": chosen.os,
            "device_attributes": list(chosen.attributes),
            "options": request.options.strip(),
            "measures": request.measures,
            "input_shapes": plain_shapes(request.input_shapes),
            "requirements": required,
            "keeps_artifact": request.keeps_artifact,
            "asked_priority": request.priority,
            "deadline_s": request.deadline_s,
            "state": "queued",
            "idempotency_key": request.idempotency_key,
            "traceparent": tracing.place() or None,
            "priority": 0,
            "queue_entry": None,
        }
        if not unready:
            values |= await enqueue_job(
                hub,
                connection,
                job_id,
                owner_id=account.id,
                pool_id=pool_id,
                os=chosen.os,
                toolchain=job_toolchain,
                asked_priority=request.priority,
            )
        created = await _KEEPING.scalar(connection, **values)
        after_commit(connection, metrics.JOB_STATES.labels(request.kind, "queued").inc)
        if needed:
            rows = [{"job_id": job_id, "needed_id": one} for one in needed]
            await connection.execute(insert(dependency).values(rows))
    if created is None:
        raise Conflict("the job was not kept")
    return job_id, created


def _making(request: JobRequest, sources: Sequence[Row[Any]]) -> tuple[str, str, str]:
    """The toolchain of a job that makes a model; of what is made the format, and what its name ends with.

    Raises :class:`SpecInvalid` for models of several kinds that are to be linked.
    """
    kind = sources[0].kind
    if request.kind == "quantize":
        return toolchain(QUANTIZE, kind), kind, widths(request)
    if request.kind == "link":
        other = next((one for one in sources if one.kind != kind), None)
        if other is not None:
            raise SpecInvalid(
                f"{sources[0].name} is of the kind {kind}, {other.name} of the kind {other.kind}",
                hint="models of one kind are linked",
            )
        return toolchain(LINK, kind), LINKED_KIND, "linked"
    target = compile_options.parse(request.options).target
    return toolchain(target, kind), compile_options.FORMATS.get(target, target), target


def _as_simulated(request: JobRequest, chosen: DeviceModel) -> JobRequest:
    """What a simulator does of what is asked for: it infers, for the numbers, and nothing is measured.

    Raises :class:`SpecInvalid` for what asks for figures alone.
    """
    if request.kind in MAKING or not is_simulated(chosen.attributes):
        return request
    if request.kind != "inference" or request.requirements:
        raise SpecInvalid(
            f"{chosen.name} is a simulator: its times and memory tell nothing of a device, so nothing is measured there",
            hint="an inference job on a dataset has the numbers; a device with such an NPU has the figures",
        )
    return replace(request, measures=False)


def _check_chipset(request: JobRequest, chosen: DeviceModel) -> None:
    """Raises :class:`SpecInvalid` where what is made is for a chipset, and the device tells of none that anything is built for."""
    for_one = request.kind == "link" or (
        request.kind == "compile" and compile_options.parse(request.options).target in FOR_CHIPSET
    )
    if for_one and chipset_of(chosen.attributes) is None:
        raise SpecInvalid(
            f"{chosen.name} tells of no Hexagon NPU, and what is made for one runs nowhere else",
            hint="choose a device with the attribute soc-model: or hexagon:",
        )


async def _made_of(connection: AsyncConnection, account: Account, linked: Sequence[Row[Any]]) -> list[str]:
    """The ids of what the models were compiled from, locked so that they stay.

    Raises :class:`SpecInvalid` for a model that no compile job of this hub made, and what :func:`_model` does.
    """
    found = []
    for one in linked:
        maker = (
            await connection.execute(select(job.c.kind, job.c.model_id).where(job.c.id == one.producer_id))
        ).one_or_none()
        if maker is None or maker.kind != "compile":
            raise SpecInvalid(
                f"{one.name} was not made by a compile job of this hub, and graphs are linked while they are built",
                hint="link what compile jobs make here",
            )
        try:
            found.append((await _model(connection, account, maker.model_id)).id)
        except NotFound as error:
            raise NotFound(
                f"what {one.name} was made of was deleted, or is not shared with you, and is needed to link it",
                hint="compile your own",
            ) from error
    return found


async def _devices(hub: Hub, connection: AsyncConnection, place: Place, request: JobRequest) -> list[DeviceModel]:
    """Those that the job may go to, the best first. Raises :class:`NotFound`, and :class:`Forbidden` where trust is missing."""
    account = place.sender
    find = partial(find_devices, name=request.device_name, os=request.device_os, attributes=request.device_attributes)
    find = partial(find, within=connection)
    devices = await find(hub, account)
    if devices:
        return devices
    wanted = " ".join(filter(None, (request.device_name, request.device_os, *request.device_attributes)))
    if untrusted := await find(hub, account, but="trust"):
        owner = untrusted[0].owner
        raise Forbidden(
            f"{wanted!r} is a device of {owner}, whose devices may not receive your models",
            hint=f"allow it, if you trust them with your models: dynolab devices trust {owner}",
        )
    if await find(hub, account, but="sandbox"):
        raise Forbidden(
            f"{wanted!r} has no sandbox, so it runs no models but those of who serves it",
            hint="on that machine, `dynolab doctor` tells what is missing",
        )
    if others := [] if place.in_project else await find(hub, place.account):
        raise Forbidden(
            f"{wanted!r} is a device of the organisation {others[0].organisation}, which takes the jobs of its projects alone",
            hint="submit it to a project: the account's page lists yours",
        )
    raise NotFound(f"no device matches {wanted!r}", hint="`dynolab devices` lists those that are known")


async def _model(connection: AsyncConnection, account: Account, model_id: str) -> Any:
    """The model, locked so that it stays; or, without a lock, one that a job is still to make: nobody deletes it until then.

    Raises :class:`Conflict` for one whose bytes have not come.
    """
    row = await _held(connection, account, model_id)
    if row.blob_id is None and row.producer_id:
        if (state := await connection.scalar(select(job.c.state).where(job.c.id == row.producer_id))) in LIVE:
            return row
        if state in ("failed", "cancelled"):
            raise dependency_failed(row.producer_id, state)
        row = await _held(connection, account, model_id)  # it was made just now
    if row.blob_id is None:
        raise Conflict(f"the model {model_id} has no bytes yet", hint="complete its upload first")
    return row


async def _held(connection: AsyncConnection, account: Account, model_id: str) -> Any:
    """The model, locked if its bytes are there: a job that is to make it changes its row, and waits for nobody then."""
    while True:
        is_held = await _HOLDING.scalar(connection, model=model_id) is not None
        row = await find_visible(connection, model, model_id, account)
        if is_held or row.blob_id is None:  # else they came in between
            return row


def _check_support(request: JobRequest, model_kinds: Sequence[str], devices: Sequence[DeviceModel]) -> None:
    """Raises :class:`SpecInvalid` where the device's runtimes do not run one of the models."""
    chosen = devices[0]
    able = [device.attributes for device in devices if (device.pool_id, device.os) == (chosen.pool_id, chosen.os)]
    texts = [request.options, *([] if request.comparison is None else [request.comparison.options])]
    for kind, text in zip(model_kinds, texts, strict=True):
        options = options_module.parse(text)
        check_runtime_support(chosen.name, able, runtime=options.runtime, model_kind=kind)
        check_own_options(options, able)


async def _check_pool(connection: AsyncConnection, sender: Sender, pool_id: str, name: str) -> None:
    """Raises :class:`NotFound` where the pool's owner has closed it meanwhile; until the transaction ends nobody does."""
    await _LOCKING_POOL.execute(connection, pool=pool_id)
    # Asked once the lock is there: what was asked for together with it would be as it stood before the wait.
    if await _OPEN_POOL.scalar(connection, pool=pool_id, **sender.told) is None:
        raise NotFound(f"no device matches {name!r}", hint="`dynolab devices` lists those that are known")


async def check_waits(hub: Hub, account: Account, needed: Sequence[str]) -> None:
    """Raises :class:`NotFound` and :class:`DependencyFailed` for a job that cannot be waited for."""
    async with hub.database.begin() as connection:
        await _unready(connection, account, needed)


async def _unready(
    connection: AsyncConnection, account: Account, needed: Sequence[str], producers: Sequence[str] = ()
) -> list[str]:
    """Those of the jobs that are not done yet. None of them can end before the transaction at hand does.

    ``producers`` may be another's: who sees a model waits for it.

    They are locked from the oldest to the newest (see :mod:`dynolab.hub.usecases.release_waiting`).
    """
    if not needed:
        return []
    wanted = select(job.c.id, job.c.state).where(
        job.c.id.in_(list(needed)), or_(readable(job, account), job.c.id.in_(list(producers)))
    )
    locked = wanted.order_by(job.c.created_at, job.c.id).with_for_update(read=True, of=job)
    states = {row.id: row.state for row in await connection.execute(locked)}
    for job_id in needed:
        if job_id not in states:
            raise NotFound(
                f"there is no job {job_id!r} to wait for", hint="it may have been deleted, or belong to another"
            )
        if states[job_id] not in (*LIVE, "done"):
            raise dependency_failed(job_id, states[job_id])
    return [job_id for job_id in needed if states[job_id] != "done"]
