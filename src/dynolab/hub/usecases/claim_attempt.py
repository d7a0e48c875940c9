"""An agent claims the next job for its device."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import UUID, ColumnElement, Text, bindparam, exists, func, insert, literal, not_, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab import tracing
from dynolab.errors import NotFound
from dynolab.hub.store.database import after_commit
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import attempt, blob, dataset, device, job, model
from dynolab.hub.telemetry import metrics
from dynolab.hub.usecases.announce_device import Board, announce_device
from dynolab.hub.usecases.base import WAIT_MAX_S, Account, Hub
from dynolab.hub.usecases.board_health import takes_jobs
from dynolab.hub.usecases.check_protocol import check_protocol
from dynolab.hub.usecases.create_model import file_name
from dynolab.hub.usecases.end_attempt import fail_job
from dynolab.hub.usecases.find_devices import board_queue
from dynolab.hub.usecases.made_models import specs_of_row
from dynolab.spec import codec
from dynolab.spec.agents import ClaimRequest
from dynolab.spec.compiles import InputSpec
from dynolab.spec.tensors import Quantization
from dynolab.spec.toolchain_support import MAKING

CHANGING_S = 0.02


@dataclass(frozen=True, slots=True)
class ClaimedModel:
    """A model that an attempt is given: the format that it was said to be, and its file."""

    kind: str
    file_name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ClaimedSource:
    """What a model to link was made of, and how."""

    model: ClaimedModel
    options: str
    input_specs: dict[str, InputSpec]


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt, and what it is about: a job, its model, and the dataset or the model to compare with if it has one."""

    attempt_id: uuid.UUID
    number: int
    job_id: str
    kind: str
    options: str
    measures: bool
    input_shapes: dict[str, tuple[int, ...]]
    requirements: tuple[str, ...]
    keeps_artifact: bool
    model: ClaimedModel
    dataset_bytes: int | None
    baseline: ClaimedModel | None
    input_specs: dict[str, InputSpec] | None
    weights_dtype: str
    activations_dtype: str
    linked: tuple[ClaimedSource, ...]
    made_for: tuple[str, ...]
    quantizations: tuple[Quantization, ...]
    traceparent: str
    """Of the job's trace; empty: of none."""
    comparison: dict[str, Any] | None
    """As :meth:`Comparison.document <dynolab.hub.usecases.submit_job.Comparison.document>` makes it."""


def _board() -> Prepared:
    """Locks the board, if the token still serves it in that pool; whether it may have no job: an attempt that runs holds it, or its health."""
    running = exists().where(attempt.c.id == device.c.attempt_id, attempt.c.state == "running")
    served = device.c.token_id == bindparam("token"), device.c.pool_id == bindparam("pool")
    found = select(or_(running, not_(takes_jobs())).label("held")).where(device.c.id == bindparam("board"), *served)
    return Prepared(found.with_for_update(of=device))


def _beginning() -> Prepared:
    """Makes an attempt of a job that still waits and that nobody else has locked; what the attempt is about."""
    still = job.c.id == bindparam("job"), job.c.state == "queued", job.c.cancelled_at.is_(None), _has_its_model()
    told = (
        "id",
        "kind",
        "options",
        "measures",
        "input_shapes",
        "requirements",
        "keeps_artifact",
        "comparison",
        "input_specs",
        "weights_dtype",
        "activations_dtype",
        "device_attributes",
        "traceparent",
    )
    found = (
        select(*(job.c[name] for name in (*told, "model_id", "dataset_id", "baseline_id", "attempts")))
        .where(*still)
        .with_for_update(skip_locked=True)
        .cte("found")
    )
    number = found.c.attempts + 1
    at = func.clock_timestamp()  # not that of the transaction, which may have waited for its board
    new = {"id": bindparam("attempt", type_=UUID), "job_id": found.c.id, "number": number, "state": literal("running")}
    new |= {"device_id": bindparam("board", type_=Text), "started_at": at, "renewed_at": at}
    new |= {"token_id": bindparam("token", type_=Text)}
    made = insert(attempt).from_select([*new], select(*new.values()))
    held = update(device).where(device.c.id == bindparam("board"), exists(select(found.c.id)))
    begun = update(job).where(job.c.id == found.c.id).values(state="preparing", attempts=number, started_at=func.now())
    given, data, other, base = blob.alias(), blob.alias(), model.alias(), blob.alias()
    about = (
        select(
            *(number.label("number"), *(found.c[name] for name in told)),
            *(model.c.name, model.c.kind.label("format"), model.c.is_directory, model.c.tensors.label("model_tensors")),
            *(given.c.bytes.label("model_bytes"), data.c.bytes.label("dataset_bytes")),
            *(other.c.name.label("baseline_name"), other.c.kind.label("baseline_format")),
            *(other.c.is_directory.label("baseline_is_directory"), base.c.bytes.label("baseline_bytes")),
        )
        .select_from(found.join(model, model.c.id == found.c.model_id).join(given, given.c.id == model.c.blob_id))
        .outerjoin(dataset, dataset.c.id == found.c.dataset_id)
        .outerjoin(data, data.c.id == dataset.c.blob_id)
        .outerjoin(other, other.c.id == found.c.baseline_id)
        .outerjoin(base, base.c.id == other.c.blob_id)
    )
    return Prepared(
        about.add_cte(
            made.cte("made"),
            held.values(attempt_id=bindparam("attempt"), seen_at=func.now()).cte("held"),
            begun.values(updated_at=func.now()).cte("begun"),
        )
    )


def _has_its_model() -> ColumnElement[bool]:
    """Whether the bytes of the job's model are there, without which nothing can be told of it."""
    return exists().where(model.c.id == job.c.model_id, model.c.blob_id.is_not(None)).correlate(job)


def _lacking() -> Prepared:
    """The job, locked, if it still waits and can never be had: nobody waits for a lock here."""
    gone = job.c.id == bindparam("job"), job.c.state == "queued", not_(_has_its_model())
    return Prepared(select(job.c.id).where(*gone).with_for_update(skip_locked=True))


BOARD, BEGINNING, LACKING = _board(), _beginning(), _lacking()


async def claim_attempt(hub: Hub, agent: Account, request: ClaimRequest) -> Claim | None:
    """A job for this device, or None when none came within ``wait_s``.

    Raises :class:`Conflict` when hub and agent do not speak the same protocol, :class:`RateLimited` while too many others
    ask, and what :func:`~dynolab.hub.usecases.announce_device.announce_device` does.
    """
    check_protocol(request.protocol)
    if request.unfit:
        async with hub.claims:
            await announce_device(hub, agent, request.device, request.unfit)
        return None
    own = board_queue(request.device.id)
    loop = asyncio.get_running_loop()
    until, held = loop.time() + min(request.wait_s, WAIT_MAX_S), False
    while True:
        board = await _announced(hub, agent, request)
        # Before each look, so that no notice is missed; who cannot take a job of the pool is not told of any.
        async with hub.wakeups.waiter([own] if held else board.queues, takes=True) as woken:
            claim, still_held = None, held
            if not _is_empty(hub, request.device.id, board):
                try:
                    claim, still_held = await _look(hub, agent, request.device.id, board)
                except _Displaced:
                    hub.announced.pop(request.device.id, None)
                    continue
            if claim is not None or loop.time() >= until or hub.wakeups.closed:
                return claim
            if still_held != held:
                held = still_held
                woken.set()  # for somebody else
                continue
            await _wait(woken, until)
            woken.clear()
            if loop.time() >= until and (held or _is_empty(hub, request.device.id, board)):
                return None


async def _wait(woken: asyncio.Event, until: float) -> None:
    """Until it is woken, or time is up. What stands here, 10,000 wait with: a timer of its own would be thrice as large as an event that is set."""
    metrics.AGENTS_WAITING.inc()
    timer = asyncio.get_running_loop().call_at(until, woken.set)
    try:
        await woken.wait()
    finally:
        timer.cancel()
        metrics.AGENTS_WAITING.dec()


async def _announced(hub: Hub, agent: Account, request: ClaimRequest) -> Board:
    """The board. Nobody waits in line whose words are known already."""
    if request.device.id in hub.announced:
        return await announce_device(hub, agent, request.device)
    async with hub.claims:
        return await announce_device(hub, agent, request.device)


def _is_empty(hub: Hub, device_id: str, board: Board) -> bool:
    """Whether the board's queues were found empty, and nothing came since: 10,000 idle agents ask the database nothing.

    What may be there all the same is found by :func:`dynolab.hub.usecases.sweep_queues.sweep_queues`.
    """
    known = hub.announced.get(device_id)
    return known is not None and hub.wakeups.is_quiet(board.queues, known.empty)


class _Changing(Exception):
    """Somebody changes the job at this moment, such as its owner who cancels it."""


class _Displaced(Exception):
    """The device was put out of its pool, or another token serves it: it is to be announced anew, which tells why."""


async def _look(hub: Hub, agent: Account, device_id: str, board: Board) -> tuple[Claim | None, bool]:
    """A claim if there is one, and whether the board is held: by another attempt, or for its health."""
    notices = hub.wakeups.notices
    while True:
        try:
            async with hub.claims:
                claim, held = await _claim(hub, agent, device_id, board)
        except _Changing:
            await asyncio.sleep(CHANGING_S)
            continue
        if (known := hub.announced.get(device_id)) is not None:
            known.empty = None if claim is not None or held else notices
        return claim, held


async def _claim(hub: Hub, agent: Account, device_id: str, board: Board) -> tuple[Claim | None, bool]:
    """One look into the board's queues, in one transaction; entries of jobs that are over are cleared away.

    It waits for nobody's lock but its board's, so that it has a part in no deadlock; but for a job that can never be had, which it
    ends with those that wait for it.
    """
    async with hub.database.begin() as connection:
        served = await BOARD.one_or_none(connection, board=device_id, token=agent.token_id, pool=board.pool_id)
        if served is None:
            raise _Displaced
        if served.held:
            return None, True
        attempt_id = uuid.uuid4()
        while (claimed := await hub.queue.claim(connection, board.queues, attempt_id)) is not None:
            about = await BEGINNING.one_or_none(
                connection, job=claimed.payload, board=device_id, attempt=attempt_id, token=agent.token_id
            )
            if about is not None:
                after_commit(connection, partial(_count, about, device_id, claimed.waited_s))
                linked = await _linked(connection, about.id) if about.kind == "link" else ()
                return _claimed(attempt_id, about, linked), False
            if await LACKING.scalar(connection, job=claimed.payload) is not None:
                gone = NotFound("the bytes of the job's model are gone", hint="`dynolab hub check` tells what else is")
                await fail_job(hub, connection, claimed.payload, gone)
                continue
            if await _waits(connection, claimed.payload):
                raise _Changing
            await hub.queue.finish(connection, claimed.entry)
    return None, False


def _count(about: Any, device_id: str, waited_s: float) -> None:
    metrics.JOB_STATES.labels(about.kind, "preparing").inc()
    metrics.DISPATCH_SECONDS.labels(about.kind).observe(waited_s)
    if about.traceparent:
        told = {
            "dynolab__job__id": about.id,
            "dynolab__attempt__number": about.number,
            "dynolab__device__id": device_id,
        }
        tracing.record(f"queue {about.kind}", waited_s, parent=about.traceparent, kind="consumer", **told)


async def _waits(connection: AsyncConnection, job_id: str) -> bool:
    """Whether the job, which was not to be had, may still be once whoever changes it has ended."""
    found = select(job.c.state, job.c.cancelled_at).where(job.c.id == job_id)
    row = (await connection.execute(found)).one_or_none()
    return row is not None and row.state == "queued" and row.cancelled_at is None


async def _linked(connection: AsyncConnection, job_id: str) -> tuple[ClaimedSource, ...]:
    """What the models that a job links were made of and how, in their order."""
    one = (await connection.execute(select(job.c.model_id, job.c.linked_ids).where(job.c.id == job_id))).one()
    linked = [one.model_id, *(one.linked_ids or [])]
    source = model.alias("source")
    found = (
        select(
            model.c.id,
            source.c.kind,
            source.c.name,
            source.c.is_directory,
            blob.c.bytes,
            job.c.options,
            job.c.input_specs,
        )
        .join(job, job.c.id == model.c.producer_id)
        .join(source, source.c.id == job.c.model_id)
        .join(blob, blob.c.id == source.c.blob_id)
        .where(model.c.id.in_(linked))
    )
    rows = {row.id: row for row in (await connection.execute(found)).all()}
    return tuple(_source(rows[model_id]) for model_id in linked if model_id in rows)


def _source(row: Any) -> ClaimedSource:
    name = file_name(row.name, row.kind, row.is_directory)
    return ClaimedSource(ClaimedModel(row.kind, name, row.bytes), row.options, specs_of_row(row) or {})


def _claimed(attempt_id: uuid.UUID, about: Any, linked: tuple[ClaimedSource, ...]) -> Claim:
    return Claim(
        attempt_id=attempt_id,
        number=about.number,
        job_id=about.id,
        kind=about.kind,
        options=about.options,
        measures=about.measures,
        input_shapes={name: tuple(shape) for name, shape in about.input_shapes.items()},
        requirements=tuple(about.requirements),
        keeps_artifact=about.keeps_artifact,
        model=ClaimedModel(about.format, file_name(about.name, about.format, about.is_directory), about.model_bytes),
        dataset_bytes=about.dataset_bytes,
        baseline=None if about.comparison is None else _baseline(about),
        traceparent=about.traceparent or "",
        comparison=about.comparison,
        input_specs=specs_of_row(about),
        weights_dtype=about.weights_dtype or "",
        activations_dtype=about.activations_dtype or "",
        linked=linked,
        made_for=tuple(about.device_attributes) if about.kind in MAKING else (),
        quantizations=_quantizations(about.model_tensors) if about.kind == "inference" else (),
    )


def _quantizations(tensors: Any) -> tuple[Quantization, ...]:
    """Of the integers that a model takes and gives, as far as the job told that made it."""
    told = tensors.get("quantizations", []) if isinstance(tensors, dict) else []
    return codec.decode(tuple[Quantization, ...], told, "the quantisations that are kept")


def _baseline(about: Any) -> ClaimedModel:
    name = file_name(about.baseline_name, about.baseline_format, about.baseline_is_directory)
    return ClaimedModel(about.baseline_format, name, about.baseline_bytes)
