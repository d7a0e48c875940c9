"""A job is submitted: checked, kept and queued in one transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict, Forbidden, NotFound, SpecInvalid
from dynolab.hub.store.tables import dataset, dependency, job, model, pool
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.base import Account, Hub, checked_name, find_visible, new_id, visible
from dynolab.hub.usecases.enqueue_job import PRIORITY_MOST, enqueue_job
from dynolab.hub.usecases.find_devices import DeviceModel, find_devices
from dynolab.hub.usecases.pool_rights import may_send
from dynolab.hub.usecases.release_waiting import dependency_failed
from dynolab.spec import codec, requirements
from dynolab.spec import options as options_module
from dynolab.spec.duets import DuetTerms
from dynolab.spec.input_shapes import Shapes, check_shapes
from dynolab.spec.runtime_support import check_runtime_support

LIVE = ("queued", "preparing", "running")
KEY_LIFE = timedelta(days=1)
"""How long an idempotency key stands for its job."""
DEADLINE_MOST_S = 24 * 3600
BUDGET_MOST_S = 1800
"""Of a comparison: well within the hub's own bound of a run."""
WAITS_MOST = 100
REQUIREMENTS_MOST = 50


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a job's model is compared with: the baseline, which is side A, its options, and what is to be decided."""

    baseline_id: str
    options: str
    terms: DuetTerms

    @classmethod
    def of_row(cls, row: Any) -> Comparison | None:
        """That of a job's row; None: it compares nothing."""
        if row.baseline_id is None:
            return None
        return cls(row.baseline_id, row.comparison["options"], codec.decode(DuetTerms, row.comparison["terms"]))

    def document(self) -> dict[str, Any]:
        """As the job's row keeps it, beside the baseline's id."""
        return {"options": self.options.strip(), "terms": codec.encode(self.terms)}

    def check(self) -> None:
        """Raise :class:`SpecInvalid` for options that nobody knows, or terms that nothing can be decided by."""
        bounds.check_text(self.options, "options", bounds.OPTIONS)
        bounds.check_text(self.baseline_id, "model_id")
        options_module.parse(self.options)
        checked_terms(self.terms)


@dataclass(frozen=True, slots=True)
class JobRequest:
    """What a job is to do. ``kind``: ``profile``, ``inference`` (with a dataset) or ``compare`` (with another model)."""

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
    priority: int = 0
    """-10 to 10; the higher goes first."""
    deadline_s: float | None = None
    """How long an attempt may run; None: the hub's own bound (:attr:`Limits.run_s`)."""
    input_shapes: Shapes = field(default_factory=dict)
    """Of inputs whose dimensions the model leaves open; a dataset has its own."""
    requirements: tuple[str, ...] = ()
    """Limits that the profile is held against, such as ``estimated_inference_time <= 33 ms``."""
    keeps_artifact: bool = False
    """Whether what compile makes is left, too."""
    waits_for: tuple[str, ...] = ()
    """Jobs that must be done before this one is queued; if one of them is not to be, this one fails."""
    comparison: Comparison | None = None
    """Of a job that compares."""


async def submit_job(hub: Hub, account: Account, request: JobRequest) -> tuple[str, datetime]:
    """The new job's id and instant.

    Raises :class:`NotFound` for a model, dataset or device that is not there, :class:`Conflict` for a model whose bytes
    have not come or an idempotency key that stands for another request, :class:`SpecInvalid` for options that nobody knows
    and for what the device cannot run, and :class:`DependencyFailed` for a job to wait for that did not end well.
    """
    _check_bounds(request)
    options = options_module.parse(request.options)
    check_shapes(request.input_shapes)
    _check_kind(request)
    if request.input_shapes and request.dataset_id is not None:
        raise SpecInvalid("input shapes and a dataset are given", hint="a dataset has shapes of its own")
    required = checked_requirements(request.requirements)
    if required and not request.measures:
        raise SpecInvalid(f"{required[0]!r} is required of a job that does not measure", hint="have it measure as well")
    checked_priority(request.priority)
    if request.deadline_s is not None:
        checked_deadline(request.deadline_s)
    devices = await _devices(hub, account, request)
    chosen = devices[0]
    job_id = new_id("j")
    async with hub.database.begin() as connection:
        before = await _submitted(connection, account, request)
        if before is not None:
            return before
        source = await find_visible(connection, model, request.model_id, account, lock="share")
        if source.blob_id is None:
            raise Conflict(f"the model {request.model_id} has no bytes yet", hint="complete its upload first")
        sides = [(source.kind, options.runtime)]
        if request.comparison is not None:
            other = await find_visible(connection, model, request.comparison.baseline_id, account, lock="share")
            if other.blob_id is None:
                raise Conflict(f"the model {other.id} has no bytes yet", hint="complete its upload first")
            sides.append((other.kind, options_module.parse(request.comparison.options).runtime))
        able = [device.attributes for device in devices if (device.pool_id, device.os) == (chosen.pool_id, chosen.os)]
        for kind, runtime in sides:
            check_runtime_support(chosen.name, able, runtime=runtime, model_kind=kind)
        if request.dataset_id is not None:
            data = await find_visible(connection, dataset, request.dataset_id, account, lock="share")
            if data.blob_id is None:
                raise Conflict(f"the dataset {request.dataset_id} has no bytes yet", hint="complete its upload first")
        await _check_pool(connection, account, chosen)
        unready = await _unready(connection, account, request.waits_for)
        values = {
            "id": job_id,
            "account_id": account.id,
            "kind": request.kind,
            "name": checked_name(request.name, "job") or source.name,
            "project_id": request.project_id,
            "model_id": request.model_id,
            "dataset_id": request.dataset_id,
            "baseline_id": None if request.comparison is None else request.comparison.baseline_id,
            "comparison": None if request.comparison is None else request.comparison.document(),
            "pool_id": chosen.pool_id,
            "device_name": chosen.name,
            "device_os": chosen.os,
            "device_attributes": list(chosen.attributes),
            "options": request.options.strip(),
            "measures": request.measures,
            "input_shapes": _plain(request.input_shapes),
            "requirements": required,
            "keeps_artifact": request.keeps_artifact,
            "asked_priority": request.priority,
            "deadline_s": request.deadline_s,
            "state": "queued",
            "idempotency_key": request.idempotency_key,
        }
        if not unready:
            values |= await enqueue_job(
                hub,
                connection,
                job_id,
                owner_id=account.id,
                pool_id=chosen.pool_id,
                os=chosen.os,
                asked_priority=request.priority,
            )
        created = await connection.scalar(insert(job).values(values).returning(job.c.created_at))
        if request.waits_for:
            rows = [{"job_id": job_id, "needed_id": needed} for needed in dict.fromkeys(request.waits_for)]
            await connection.execute(insert(dependency).values(rows))
    if created is None:
        raise Conflict("the job was not kept")
    return job_id, created


async def _devices(hub: Hub, account: Account, request: JobRequest) -> list[DeviceModel]:
    """Those that the job may go to, the best first. Raises :class:`NotFound`, and :class:`Forbidden` where trust is missing."""
    find = partial(find_devices, name=request.device_name, os=request.device_os, attributes=request.device_attributes)
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
    raise NotFound(f"no device matches {wanted!r}", hint="`dynolab devices` lists those that are known")


async def _check_pool(connection: AsyncConnection, account: Account, chosen: DeviceModel) -> None:
    """Raises :class:`NotFound` where the pool's owner has closed it meanwhile; until the transaction ends nobody does."""
    await connection.execute(select(pool.c.id).where(pool.c.id == chosen.pool_id).with_for_update(read=True))
    # Asked once the lock is there: what was asked for together with it would be as it stood before the wait.
    if await connection.scalar(select(pool.c.id).where(pool.c.id == chosen.pool_id, may_send(account))) is None:
        raise NotFound(f"no device matches {chosen.name!r}", hint="`dynolab devices` lists those that are known")


def _check_kind(request: JobRequest) -> None:
    """Raises :class:`SpecInvalid` for what a job of its kind needs and lacks, or cannot have."""
    if request.kind == "inference" and request.dataset_id is None:
        raise SpecInvalid("a job of kind inference needs a dataset")
    if request.kind == "compare":
        if request.comparison is None:
            raise SpecInvalid("a job of kind compare needs a model to compare with", hint="name it as the baseline")
        request.comparison.check()
        given = {
            "dataset": request.dataset_id,
            "requirements": request.requirements,
            "artifact": request.keeps_artifact,
        }
        unfit = next((what for what, value in given.items() if value), None)
        if unfit is not None:
            raise SpecInvalid(f"a job that compares takes no {unfit}", hint="leave it out, or profile the model")
    elif request.comparison is not None:
        raise SpecInvalid(f"a job of kind {request.kind} compares with no other model", hint="the kind is compare")


def _check_bounds(request: JobRequest) -> None:
    """Raises :class:`SpecInvalid` before anything is looked into."""
    bounds.check_text(request.options, "options", bounds.OPTIONS)
    for text, what in ((request.model_id, "model_id"), (request.project_id, "project_id")):
        bounds.check_text(text, what)
    bounds.check_text(request.dataset_id or "", "dataset_id")
    bounds.check_shapes(request.input_shapes)
    bounds.check_texts(request.requirements, "requirements", REQUIREMENTS_MOST)
    if len(request.waits_for) > WAITS_MOST:
        raise SpecInvalid(f"the job waits for {len(request.waits_for)} jobs; {WAITS_MOST} is the most")
    bounds.check_texts(request.waits_for, "waits_for", WAITS_MOST)


def _plain(shapes: Shapes) -> dict[str, list[int]]:
    return {name: list(shape) for name, shape in shapes.items()}


def checked_terms(terms: DuetTerms) -> DuetTerms:
    """The same. Raises :class:`SpecInvalid`."""
    terms.check()
    if terms.budget_s > BUDGET_MOST_S:
        raise SpecInvalid(f"a budget of {terms.budget_s:g} s: at most {BUDGET_MOST_S} s are taken")
    return terms


def checked_requirements(texts: Sequence[str]) -> list[str]:
    """The same requirements, each once. Raises :class:`SpecInvalid` for one that cannot be read, or too many."""
    if len(texts) > REQUIREMENTS_MOST:
        raise SpecInvalid(f"{len(texts)} requirements; {REQUIREMENTS_MOST} is the most")
    return list(dict.fromkeys(requirements.parse(" ".join(text.split())).text for text in texts))


def checked_priority(priority: int) -> int:
    """The same. Raises :class:`SpecInvalid`."""
    if abs(priority) > PRIORITY_MOST:
        raise SpecInvalid(f"priority {priority} is not in -{PRIORITY_MOST} to {PRIORITY_MOST}")
    return priority


def checked_deadline(deadline_s: float) -> float:
    """The same. Raises :class:`SpecInvalid`."""
    if not 0 < deadline_s <= DEADLINE_MOST_S:
        raise SpecInvalid(f"a deadline of {deadline_s:g} s: more than 0 and at most {DEADLINE_MOST_S} s are taken")
    return deadline_s


async def check_waits(hub: Hub, account: Account, needed: Sequence[str]) -> None:
    """Raises :class:`NotFound` and :class:`DependencyFailed` for a job that cannot be waited for."""
    async with hub.database.begin() as connection:
        await _unready(connection, account, needed)


async def _unready(connection: AsyncConnection, account: Account, needed: Sequence[str]) -> list[str]:
    """Those of the jobs that are not done yet. None of them can end before the transaction at hand does.

    They are locked from the oldest to the newest (see :mod:`dynolab.hub.usecases.release_waiting`).
    """
    if not needed:
        return []
    wanted = select(job.c.id, job.c.state).where(job.c.id.in_(list(needed)), visible(job, account))
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
    compared = None if request.comparison is None else request.comparison.document()
    baseline_id = None if request.comparison is None else request.comparison.baseline_id
    asked = (request.kind, request.model_id, request.dataset_id, request.options.strip(), baseline_id, compared)
    needed = select(dependency.c.needed_id).where(dependency.c.job_id == row.id)
    required = checked_requirements(request.requirements)
    terms = (request.priority, request.deadline_s, _plain(request.input_shapes), required, request.keeps_artifact)
    before = (row.asked_priority, row.deadline_s, row.input_shapes, row.requirements, row.keeps_artifact)
    waited_for = set((await connection.execute(needed)).scalars())
    made = (row.kind, row.model_id, row.dataset_id, row.options, row.baseline_id, row.comparison)
    if (asked, terms, set(request.waits_for)) != (made, before, waited_for):
        raise Conflict(
            f"the idempotency key {key!r} stands for another request, which made the job {row.id}",
            hint="a new request needs a new key",
        )
    return row.id, row.created_at
