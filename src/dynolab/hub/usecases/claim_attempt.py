"""An agent claims the next job for its device."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import (
    CTE,
    UUID,
    ColumnElement,
    Select,
    Text,
    and_,
    bindparam,
    exists,
    func,
    insert,
    literal,
    not_,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab import tracing
from dynolab.errors import NotFound
from dynolab.hub.scheduling.queue import claiming, has_others, next_entry
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


def _looking(*, alone: bool) -> Prepared:
    """One look of a board into its queues: one row, or none where the token serves the board no more, or not in that pool.

    ``held`` tells that the board may have no job: an attempt that runs holds it, or its health. Else ``entry`` is the entry that is next, NULL
    where there is none that others have not locked, ``more`` whether there are further ones, and ``job`` its job. If that still waits and nobody else has it locked, an attempt of it is made and the
    row tells of it; else ``id`` is NULL, and nothing was done.

    ``alone``: for a statement that is a transaction of its own. It begins no job about which more is to be asked.
    """
    board = _board().cte("board")
    queues = bindparam("queues", type_=ARRAY(Text))
    named = select(func.unnest(queues).label("name")).select_from(board).where(not_(board.c.held)).subquery("named")
    entry = next_entry(named)
    found = _found(entry, alone=alone)
    number = found.c.attempts + 1
    at = func.clock_timestamp()  # not that of the transaction, which may have waited for its board
    new = {"id": bindparam("attempt", type_=UUID), "job_id": found.c.id, "number": number, "state": literal("running")}
    new |= {"device_id": bindparam("board", type_=Text), "started_at": at, "renewed_at": at}
    new |= {"token_id": bindparam("token", type_=Text)}
    made = insert(attempt).from_select([*new], select(*new.values()))
    held = update(device).where(device.c.id == bindparam("board"), exists(select(found.c.id)))
    begun = update(job).where(job.c.id == found.c.id).values(state="preparing", attempts=number, started_at=func.now())
    claimed = claiming(select(found.c.entry).scalar_subquery(), bindparam("attempt", type_=UUID))
    given, data, other, base = blob.alias(), blob.alias(), model.alias(), blob.alias()
    tried = bindparam("attempt", type_=UUID).label("attempt_id")
    of_board = tried, board.c.held, entry.c.id.label("entry"), entry.c.payload.label("job"), entry.c.waited_s
    more = and_(not_(board.c.held), has_others(queues, entry.c.id)).label("more")
    about = (
        select(
            *(*of_board, more, number.label("number"), *(found.c[name] for name in TOLD)),
            *(model.c.name, model.c.kind.label("format"), model.c.is_directory, model.c.tensors.label("model_tensors")),
            *(given.c.bytes.label("model_bytes"), data.c.bytes.label("dataset_bytes")),
            *(other.c.name.label("baseline_name"), other.c.kind.label("baseline_format")),
            *(other.c.is_directory.label("baseline_is_directory"), base.c.bytes.label("baseline_bytes")),
        )
        .select_from(board.outerjoin(entry, true()).outerjoin(found, true()))
        .outerjoin(model, model.c.id == found.c.model_id)
        .outerjoin(given, given.c.id == model.c.blob_id)
        .outerjoin(dataset, dataset.c.id == found.c.dataset_id)
        .outerjoin(data, data.c.id == dataset.c.blob_id)
        .outerjoin(other, other.c.id == found.c.baseline_id)
        .outerjoin(base, base.c.id == other.c.blob_id)
    )
    return Prepared(
        about.add_cte(
            made.cte("made"),
            held.values(attempt_id=bindparam("attempt"), seen_at=func.now()).cte("held_by"),
            begun.values(updated_at=func.now()).cte("begun"),
            claimed,
        )
    )


def _board() -> Select[Any]:
    """Locks the board, if the token still serves it in that pool.

    Where this one waited for the lock, another look of the same board may have given it an attempt, which this statement does not
    see yet: so an attempt that was not the board's when the statement began holds it as well.
    """
    before = device.alias("before")
    known = select(before.c.attempt_id).where(before.c.id == device.c.id).scalar_subquery()
    running = exists().where(attempt.c.id == device.c.attempt_id, _by_key_alone(attempt.c.state, "running"))
    kept = and_(device.c.attempt_id.is_not(None), or_(running, device.c.attempt_id.is_distinct_from(known)))
    served = (_by_key_alone(device.c[f"{name}_id"], bindparam(name, type_=Text)) for name in ("token", "pool"))
    found = select(or_(kept, not_(takes_jobs())).label("held")).where(device.c.id == bindparam("board"), *served)
    return found.with_for_update(of=device)


def _found(entry: CTE, *, alone: bool) -> CTE:
    """The entry's job, locked, if it still waits and nobody else has it locked."""
    still = _by_key_alone(job.c.state, "queued"), job.c.cancelled_at.is_(None), _has_its_model()
    columns = (job.c[name] for name in (*TOLD, "model_id", "dataset_id", "baseline_id", "attempts"))
    found = select(*columns, entry.c.id.label("entry")).join_from(job, entry, job.c.id == entry.c.payload)
    found = found.where(*still, job.c.kind != "link") if alone else found.where(*still)
    return found.with_for_update(of=job, skip_locked=True).cte("found")


def _by_key_alone(column: ColumnElement[Any], value: object) -> ColumnElement[bool]:
    """Whether they are equal, told so that no index helps: a plan that was made while a table was small goes by the row's key, too.

    Else it would go through all that wait or run, which were a few then.
    """
    return column.is_not_distinct_from(value)


def _has_its_model() -> ColumnElement[bool]:
    """Whether the bytes of the job's model are there, without which nothing can be told of it."""
    return exists().where(model.c.id == job.c.model_id, model.c.blob_id.is_not(None)).correlate(job)


def _lacking() -> Prepared:
    """The job, locked, if it still waits and can never be had: nobody waits for a lock here."""
    gone = job.c.id == bindparam("job"), job.c.state == "queued", not_(_has_its_model())
    return Prepared(select(job.c.id).where(*gone).with_for_update(skip_locked=True))


TOLD = (
    *(
        "id",
        "kind",
        "options",
        "measures",
        "input_shapes",
        "requirements",
        "keeps_artifact",
        "comparison",
        "input_specs",
    ),
    *("weights_dtype", "activations_dtype", "device_attributes", "traceparent"),
)
"""The columns of a job that an attempt is told."""
LOOKING, LOOKING_FURTHER, LACKING = _looking(alone=True), _looking(alone=False), _lacking()


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
            # Who does not wait is not told of what is noticed in a moment.
            if not request.wait_s or not _is_empty(hub, request.device.id, board):
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
    """Whether the board's queues are known to be empty, and the board was free: 10,000 idle agents ask the database nothing.

    What may be there all the same is found by :func:`dynolab.hub.usecases.sweep_queues.sweep_queues`.
    """
    known = hub.announced.get(device_id)
    return known is not None and known.is_free and hub.wakeups.are_empty(board.queues)


class _Changing(Exception):
    """Somebody changes the job at this moment, such as its owner who cancels it."""


class _Displaced(Exception):
    """The device was put out of its pool, or another token serves it: it is to be announced anew, which tells why."""


async def _look(hub: Hub, agent: Account, device_id: str, board: Board) -> tuple[Claim | None, bool]:
    """A claim if there is one, and whether the board is held: by another attempt, or for its health."""
    notices, own = hub.wakeups.notices, board_queue(device_id)
    queues = [one for one in board.queues if one != own]  # its own one is for notices, and holds nothing
    told = {"board": device_id, "token": agent.token_id, "pool": board.pool_id, "queues": queues}
    while True:
        try:
            async with hub.claims:
                row, linked = await _looked(hub, told | {"attempt": uuid.uuid4()})
        except _Changing:
            await asyncio.sleep(CHANGING_S)
            continue
        if row is None:
            raise _Displaced
        if (known := hub.announced.get(device_id)) is not None:
            known.is_free = not row.held
        hub.wakeups.found_empty([own] if row.held or row.more else board.queues, notices)
        if row.id is None and row.more:  # locked by others, who may leave it there
            hub.wakeups.wake_soon(queues)
        return None if row.id is None else _claimed(row, linked), row.held


async def _looked(hub: Hub, told: dict[str, Any]) -> tuple[Any, tuple[ClaimedSource, ...]]:
    """What a look found, as :data:`LOOKING` tells it, and of a job that links what it links.

    Mostly one statement is all of it, which waits for nobody's lock but its board's, so that it has a part in no deadlock.
    """
    async with hub.database.single() as connection:
        row = await LOOKING.one_or_none(connection, **told)
        if row is not None and row.id is not None:
            _count(row, told["board"])
    if row is None or row.id is not None or row.entry is None:
        return row, ()
    return await _looked_further(hub, told)


async def _looked_further(hub: Hub, told: dict[str, Any]) -> tuple[Any, tuple[ClaimedSource, ...]]:
    """The same in one transaction: entries of jobs that are over are cleared away, and a job that can never be had is ended, with those that wait for it."""
    async with hub.database.begin() as connection:
        while (row := await LOOKING_FURTHER.one_or_none(connection, **told)) is not None and row.entry is not None:
            if row.id is not None:
                after_commit(connection, partial(_count, row, told["board"]))
                return row, await _linked(connection, row.id) if row.kind == "link" else ()
            if await LACKING.scalar(connection, job=row.job) is not None:
                gone = NotFound("the bytes of the job's model are gone", hint="`dynolab hub check` tells what else is")
                await fail_job(hub, connection, row.job, gone)
                continue
            if await _waits(connection, row.job):
                raise _Changing
            await hub.queue.finish(connection, row.entry)
    return row, ()


def _count(about: Any, device_id: str) -> None:
    metrics.JOB_STATES.labels(about.kind, "preparing").inc()
    metrics.DISPATCH_SECONDS.labels(about.kind).observe(about.waited_s)
    if about.traceparent:
        told = {
            "dynolab__job__id": about.id,
            "dynolab__attempt__number": about.number,
            "dynolab__device__id": device_id,
        }
        tracing.record(f"queue {about.kind}", about.waited_s, parent=about.traceparent, kind="consumer", **told)


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


def _claimed(about: Any, linked: tuple[ClaimedSource, ...]) -> Claim:
    return Claim(
        attempt_id=about.attempt_id,
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
