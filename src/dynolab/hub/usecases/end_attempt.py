"""How attempts end: finished by their agent, or lost with it. An attempt ends once; a late word is refused."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Float,
    Row,
    Select,
    Text,
    bindparam,
    case,
    exists,
    func,
    insert,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab import errors, tracing
from dynolab.hub.scheduling.queue import taking_out
from dynolab.hub.store.database import after_commit
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import attempt, dataset, dependency, device, job, share
from dynolab.hub.telemetry import metrics
from dynolab.hub.usecases.base import Account, Hub, new_id
from dynolab.hub.usecases.board_health import takes_jobs
from dynolab.hub.usecases.check_claimed import check_claimed
from dynolab.hub.usecases.enqueue_job import queue_of
from dynolab.hub.usecases.find_board_states import is_away
from dynolab.hub.usecases.find_devices import board_queue
from dynolab.hub.usecases.keep_tensors import keep_tensors
from dynolab.hub.usecases.made_models import keep_made
from dynolab.hub.usecases.quotas import noted_use
from dynolab.hub.usecases.release_waiting import release_waiting
from dynolab.hub.usecases.running import RUNNING
from dynolab.hub.usecases.time_away import note_time_away, swept_by_another
from dynolab.spec.agents import Outcome

log = logging.getLogger(__name__)

MAX_ATTEMPTS = 3
BUSY_MOST = 20
"""Further attempts that found their board in use: an agent whose board always is would take the job for ever."""
REASON_MOST = 300
"""Characters of each attempt's reason in the message of a job that failed with all of them; the attempts have all of it."""


def _ending() -> Prepared:
    changes = {"state": bindparam("end"), "failure": bindparam("failure", type_=DOCUMENT), "finished_at": func.now()}
    running = (attempt.c.id == bindparam("attempt"), attempt.c.state == "running")
    claimed = attempt.c.token_id == bindparam("token")
    left = [attempt.c[f"{verb}_blob_id"].label(f"left_{verb}_id") for verb in ("result", "output", "artifact")]
    ids = attempt.c.id, attempt.c.job_id, attempt.c.device_id, attempt.c.number
    closed = (
        update(attempt)
        .where(*running, claimed)
        .values(changes)
        .returning(*ids, attempt.c.started_at, attempt.c.away_s, *left)
        .cte("closed")
    )
    freed = update(device).where(device.c.attempt_id == closed.c.id, device.c.id == closed.c.device_id)
    of_job = [
        job.c[name]
        for name in (
            "id",
            "account_id",
            "name",
            "project_id",
            "in_project",
            "model_id",
            "target_model_id",
            "attempts",
            "cancelled_at",
        )
    ]
    ended = (
        select(*of_job, closed.c.device_id, closed.c.number, *(closed.c[one.name] for one in left))
        .join(closed, closed.c.job_id == job.c.id)
        .with_for_update(of=job)
    )
    used = noted_use(closed).cte("used")
    return Prepared(ended.add_cte(freed.values(attempt_id=None).cte("freed"), used))


def _concluding() -> Prepared:
    """Ends a job and takes it out of the queue; what is not given stays as it is for jobs that are not over: NULL."""
    changes = {name: bindparam(name, None, type_=DOCUMENT) for name in ("failure", "summary", "tensors")}
    changes |= {
        name: bindparam(name, None, type_=Text) for name in ("result_blob_id", "artifact_blob_id", "output_dataset_id")
    }
    ended = update(job).where(job.c.id == bindparam("job")).values(state=bindparam("end"), **changes)
    waited_for = exists().where(dependency.c.needed_id == bindparam("job")).label("waited_for")
    entry = select(job.c.queue_entry).where(job.c.id == bindparam("job")).scalar_subquery()
    return Prepared(
        ended.values(finished_at=func.now(), updated_at=func.now())
        .returning(*(job.c.kind, waited_for, job.c.traceparent, job.c.created_at, func.now().label("now")))
        .add_cte(taking_out(entry))
    )


DOCUMENT = JSONB(none_as_null=True)
ENDING, CONCLUDING = _ending(), _concluding()


async def finish_attempt(hub: Hub, agent: Account, attempt_id: uuid.UUID, outcome: Outcome) -> None:
    """Result and end of a job in one transaction. What the device failed with goes to another attempt, up to three.

    Said twice it is done once: the answer to the first may have been lost.

    Raises :class:`NotFound` for an attempt that another token claimed, and :class:`Conflict` when it is over already:
    somebody else has the job, or it was cancelled.
    """
    state = "failed" if outcome.error else "done"
    async with hub.database.begin() as connection:
        row = await _end(connection, agent, attempt_id, state, outcome.error)
        if row is None:
            return
        error = errors.from_dict(outcome.error) if outcome.error else None
        after_commit(connection, metrics.ATTEMPTS.labels(state, error.code if error else "").inc)
        if row.cancelled_at is not None:
            await conclude_cancelled(hub, connection, row.id)
        elif error is not None and error.retriable:
            await _try_again(hub, connection, row, error, f"failed ({error.code})", [row])
        elif error is not None:
            await fail_job(hub, connection, row.id, error)
        elif row.target_model_id is not None and row.left_output_id is None:
            await fail_job(
                hub, connection, row.id, errors.Bug("the agent ended the job without the model that it made")
            )
        else:
            changes = {
                "summary": outcome.summary,
                "result_blob_id": row.left_result_id,
                "artifact_blob_id": row.left_artifact_id,
            }
            if row.target_model_id is not None:
                changes["tensors"] = await keep_made(connection, row, row.left_output_id, outcome)
            else:
                changes["output_dataset_id"] = await _keep_output(hub, connection, row, row.left_output_id)
                changes["tensors"] = await keep_tensors(connection, row, outcome.tensors)
            await _conclude(hub, connection, row.id, "done", changes)


async def _keep_output(hub: Hub, connection: AsyncConnection, row: Row[Any], blob_id: str | None) -> str | None:
    """The id of a new dataset of the job's owner, made of what the attempt inferred, if it did; shared as the job is."""
    if blob_id is None:
        return None
    values = {
        "id": new_id("d"),
        "account_id": row.account_id,
        "name": f"{row.name} outputs",
        "project_id": row.project_id,
        "in_project": row.in_project,
        "blob_id": blob_id,
        "expires_at": func.now() + timedelta(days=hub.limits.dataset_life_days),
    }
    await connection.execute(insert(dataset).values(values))
    shared = select(literal(values["id"]), share.c.email, literal(row.id), share.c.granted_by)
    direct = shared.where(share.c.target_id == row.id, share.c.via == "")
    await connection.execute(insert(share).from_select(["target_id", "email", "via", "granted_by"], direct))
    return str(values["id"])


async def lose_attempts(
    hub: Hub, connection: AsyncConnection, job_id: str, *, why: errors.Error | None = None, rest_s: float = 0.0
) -> Sequence[Row[Any]]:
    """Call the running attempts of a job lost, and free their devices, whose agents may be waiting for that.

    Their ``number`` and ``device_id``. ``rest_s``: for so long these take no job where others of their pool are there, which so have the job first.
    """
    running = (attempt.c.job_id == job_id, attempt.c.state == "running")
    values = {"state": "lost", "finished_at": func.now(), "failure": None if why is None else why.to_dict()}
    closed = (
        attempt.c.id,
        attempt.c.job_id,
        attempt.c.number,
        attempt.c.device_id,
        attempt.c.started_at,
        attempt.c.away_s,
    )
    lost = update(attempt).where(*running).values(values).returning(*closed).cte("lost")
    used = noted_use(lost).cte("used")
    found: Select[Any] = select(lost.c.id, lost.c.number, lost.c.device_id).add_cte(used)
    rows: Sequence[Row[Any]] = (await connection.execute(found)).all()
    if ids := [row.id for row in rows]:
        after_commit(connection, partial(metrics.ATTEMPTS.labels("lost", why.code if why else "").inc, len(ids)))
        freed: dict[str, object] = {"attempt_id": None}
        if rest_s:
            until = func.now() + func.make_interval(0, 0, 0, 0, 0, 0, rest_s)
            freed["rests_until"] = case((_has_peer(), until), else_=device.c.rests_until)
        changed = update(device).where(device.c.attempt_id.in_(ids)).values(freed).returning(device.c.id)
        for device_id in (await connection.execute(changed)).scalars().all():
            await hub.queue.wake(connection, board_queue(device_id))
    return rows


def log_attempts(connection: AsyncConnection, job_id: str, attempts: Sequence[Row[Any]], end: str, then: str) -> None:
    """A line in the hub's log for each attempt that ended and not by its job's end, once that is committed.

    ``end``: what became of it; ``then``: what becomes of the job.
    """
    for one in attempts:
        told = job_id, one.number, one.device_id, end, then
        after_commit(connection, partial(log.warning, "the job %s: attempt %d on the device %r %s; it %s", *told))


def _has_peer() -> ColumnElement[bool]:
    """Whether another board of the device's pool and system is there and well."""
    peer = device.alias("peer")
    same = peer.c.pool_id == device.c.pool_id, peer.c.os == device.c.os, peer.c.id != device.c.id
    there = or_(peer.c.attempt_id.is_not(None), ~is_away(peer.c.seen_at))
    return exists().where(*same, peer.c.unfit == "", takes_jobs(peer), there).correlate(device)


async def fail_job(hub: Hub, connection: AsyncConnection, job_id: str, error: errors.Error) -> None:
    """End a job with an error, and take it out of the queue."""
    await _conclude(hub, connection, job_id, "failed", {"failure": error.to_dict()})


async def conclude_cancelled(hub: Hub, connection: AsyncConnection, job_id: str) -> None:
    """End a job whose owner does not want it any more, once nobody runs it."""
    await _conclude(hub, connection, job_id, "cancelled", {"failure": errors.Conflict("cancelled").to_dict()})


def _overdue() -> Prepared:
    """The jobs of attempts that run and were not heard of for ``lease_s``; those that somebody has locked are left for the next time."""
    lease = func.make_interval(0, 0, 0, 0, 0, 0, bindparam("lease_s", type_=Float))
    stale = attempt.c.renewed_at < func.now() - lease
    return Prepared(select(attempt.c.job_id).where(RUNNING, stale).with_for_update(skip_locked=True))


_ANY_RUNNING, _OVERDUE = Prepared(select(attempt.c.id).where(RUNNING).limit(1)), _overdue()


async def sweep_leases(hub: Hub) -> None:
    """Give back what lost agents held: their jobs are queued again, or failed after too many attempts; waiters are woken.

    While the hub has not been back for a lease, nobody is lost: whoever holds a job may have had no chance to say so.
    """
    async with hub.database.begin() as connection:
        if await _ANY_RUNNING.scalar(connection) is None or await swept_by_another(connection, hub.swept):
            return
        if await note_time_away(connection, hub.swept) < hub.limits.lease_s:
            return
        lost = errors.DeviceLost(f"nothing was heard of the device for {hub.limits.lease_s:g} s")
        for row in await _OVERDUE.all(connection, lease_s=hub.limits.lease_s):
            after_commit(connection, metrics.LEASES_EXPIRED.inc)
            await give_back(hub, connection, row.job_id, lost, rest_s=hub.limits.lease_s)


async def give_back(
    hub: Hub, connection: AsyncConnection, job_id: str, why: errors.Error, *, rest_s: float = 0.0
) -> None:
    """Take a job from who runs it: it is queued again, or has failed after too many attempts."""
    lost, end = await lose_attempts(hub, connection, job_id, why=why, rest_s=rest_s), f"is lost: {why.message}"
    row = (await connection.execute(select(job).where(job.c.id == job_id).with_for_update())).one()
    if row.cancelled_at is not None:
        log_attempts(connection, job_id, lost, end, "is cancelled")
        await conclude_cancelled(hub, connection, job_id)
    else:
        await _try_again(hub, connection, row, why, end, lost)


async def _try_again(
    hub: Hub, connection: AsyncConnection, row: Any, why: errors.Error, end: str, attempts: Sequence[Row[Any]]
) -> None:
    """Queue a job, whose row this is, for another attempt, or fail it after too many; ``attempts`` ended so, for the log."""
    if await _has_attempts(connection, row):
        log_attempts(connection, row.id, attempts, end, "waits for another try")
        await _again(hub, connection, row.id)
    else:
        log_attempts(connection, row.id, attempts, end, "has failed: no try is left")
        await fail_job(hub, connection, row.id, await _spent(connection, row.id, why))


async def _has_attempts(connection: AsyncConnection, row: Any) -> bool:
    """Whether a job may be tried again. An attempt that found its board in use does not count: nothing was tried."""
    if row.attempts < MAX_ATTEMPTS:
        return True
    tried = func.coalesce(attempt.c.failure["code"].astext, "") != errors.DeviceBusy.__name__
    count = select(func.count()).select_from(attempt).where(attempt.c.job_id == row.id, tried)
    return int(await connection.scalar(count) or 0) < MAX_ATTEMPTS and row.attempts < MAX_ATTEMPTS + BUSY_MOST


async def _spent(connection: AsyncConnection, job_id: str, last: errors.Error) -> errors.Error:
    """The error of a job of which no attempt is left, of the kind of the last one's: with the reason of each."""
    found = (
        select(attempt.c.number, attempt.c.device_id, attempt.c.state, attempt.c.failure)
        .where(attempt.c.job_id == job_id)
        .order_by(attempt.c.number)
    )
    rows = (await connection.execute(found)).all()
    reasons = [(row.failure or {}).get("message") or "its agent was lost" for row in rows]
    told = [
        {"number": row.number, "device": row.device_id, "state": row.state, "message": why}
        for row, why in zip(rows, reasons, strict=True)
    ]
    count = len(rows)
    text = "; ".join(f"{row.number} of {count}: {why[:REASON_MOST]}" for row, why in zip(rows, reasons, strict=True))
    return type(last)(f"no attempt ended well: {text}", hint=last.hint, details={**last.details, "attempts": told})


async def _end(connection: AsyncConnection, agent: Account, attempt_id: uuid.UUID, state: str, failure: object) -> Any:
    """Close the attempt, whose id is the fence, and free its device.

    The job's row, which is locked, and what the attempt left; None when that was said before.
    """
    told = {"attempt": attempt_id, "token": agent.token_id, "end": state, "failure": failure}
    ended = await ENDING.one_or_none(connection, **told)
    if ended is None:
        if await check_claimed(connection, agent, attempt_id) == state:
            return None
        raise errors.Conflict(f"the attempt {attempt_id} is over: its lease ran out, or the job was cancelled")
    return ended


async def _again(hub: Hub, connection: AsyncConnection, job_id: str) -> None:
    """Queue a job for another attempt."""
    row = (await connection.execute(select(job).where(job.c.id == job_id))).one()
    await hub.queue.finish(connection, row.queue_entry)
    queue = await queue_of(connection, row.pool_id, row.device_os, row.toolchain, row.account_id)
    entry = await hub.queue.enqueue(connection, queue, job_id, row.priority + 1)
    changes = {"state": "queued", "queue_entry": entry, "updated_at": func.now()}
    await connection.execute(update(job).where(job.c.id == job_id).values(changes))
    after_commit(connection, metrics.JOB_STATES.labels(row.kind, "queued").inc)


def _count(row: Any, job_id: str, state: str) -> None:
    metrics.JOB_STATES.labels(row.kind, state).inc()
    if row.traceparent:
        told = {"dynolab__job__id": job_id, "dynolab__job__state": state}
        tracing.record(
            f"job {row.kind}",
            (row.now - row.created_at).total_seconds(),
            parent=row.traceparent,
            kind="internal",
            **told,
        )


async def _conclude(hub: Hub, connection: AsyncConnection, job_id: str, state: str, changes: dict[str, object]) -> None:
    row = await CONCLUDING.one_or_none(connection, job=job_id, end=state, **changes)
    after_commit(connection, partial(_count, row, job_id, state))
    if state != "done" or row.waited_for:  # whoever ends it so had locked it before: nobody else came meanwhile
        await release_waiting(hub, connection, job_id, state)
