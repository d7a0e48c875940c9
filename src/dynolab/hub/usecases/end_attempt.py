"""How attempts end: finished by their agent, or lost with it. An attempt ends once; a late word is refused."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab import errors
from dynolab.hub.store.tables import attempt, dataset, device, job, setting
from dynolab.hub.usecases.base import Hub, new_id
from dynolab.hub.usecases.find_devices import board_queue, pool
from dynolab.spec.agents import Outcome

MAX_ATTEMPTS = 3
AWAY_S = 2.0
"""Leases are swept every second; after this long without a sweep they say nothing about the agents."""
SWEPT = "leases_swept_at"


async def finish_attempt(hub: Hub, attempt_id: uuid.UUID, outcome: Outcome) -> None:
    """Result and end of a job in one transaction. What the device failed with goes to another attempt, up to three.

    Said twice it is done once: the answer to the first may have been lost.

    Raises :class:`Conflict` when the attempt is over already: somebody else has the job, or it was cancelled.
    """
    state = "failed" if outcome.error else "done"
    async with hub.database.begin() as connection:
        ended = await _end(connection, attempt_id, state, outcome.error)
        if ended is None:
            return
        row = (await connection.execute(select(job).where(job.c.id == ended.job_id).with_for_update())).one()
        error = errors.from_dict(outcome.error) if outcome.error else None
        if row.cancelled_at is not None:
            await conclude_cancelled(hub, connection, row.id)
        elif error is not None and error.retriable and row.attempts < MAX_ATTEMPTS:
            await _again(hub, connection, row.id)
        elif error is not None:
            await fail_job(hub, connection, row.id, error)
        else:
            output_id = await _keep_output(hub, connection, row, ended.output_blob_id)
            changes = {
                "summary": outcome.summary,
                "result_blob_id": ended.result_blob_id,
                "output_dataset_id": output_id,
            }
            await _conclude(hub, connection, row.id, "done", changes)


async def _keep_output(hub: Hub, connection: AsyncConnection, row: Row[Any], blob_id: str | None) -> str | None:
    """The id of a new dataset of the job's owner, made of what the attempt inferred, if it did."""
    if blob_id is None:
        return None
    values = {
        "id": new_id("d"),
        "account_id": row.account_id,
        "name": f"{row.name} outputs",
        "project_id": row.project_id,
        "blob_id": blob_id,
        "expires_at": datetime.now(UTC) + timedelta(days=hub.limits.dataset_life_days),
    }
    await connection.execute(insert(dataset).values(values))
    return str(values["id"])


async def lose_attempts(hub: Hub, connection: AsyncConnection, job_id: str) -> None:
    """Call the running attempts of a job lost, and free their devices, whose agents may be waiting for that."""
    running = (attempt.c.job_id == job_id, attempt.c.state == "running")
    lost = update(attempt).where(*running).values(state="lost", finished_at=func.now()).returning(attempt.c.id)
    ids = list((await connection.execute(lost)).scalars())
    if ids:
        freed = update(device).where(device.c.attempt_id.in_(ids)).values(attempt_id=None).returning(device.c.id)
        for device_id in (await connection.execute(freed)).scalars().all():
            await hub.queue.wake(connection, board_queue(device_id))


async def fail_job(hub: Hub, connection: AsyncConnection, job_id: str, error: errors.Error) -> None:
    """End a job with an error, and take it out of the queue."""
    await _conclude(hub, connection, job_id, "failed", {"failure": error.to_dict()})


async def conclude_cancelled(hub: Hub, connection: AsyncConnection, job_id: str) -> None:
    """End a job whose owner does not want it any more, once nobody runs it."""
    await _conclude(hub, connection, job_id, "cancelled", {"failure": errors.Conflict("cancelled").to_dict()})


async def sweep_leases(hub: Hub) -> None:
    """Give back what lost agents held: their jobs are queued again, or failed after too many attempts; waiters are woken."""
    stale = attempt.c.renewed_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, hub.limits.lease_s)
    overdue = select(attempt.c.job_id).where(attempt.c.state == "running", stale).with_for_update(skip_locked=True)
    async with hub.database.begin() as connection:
        running = select(attempt.c.id).where(attempt.c.state == "running").limit(1)
        if await connection.scalar(running) is None:
            return
        await _forgive(connection)
        for job_id in (await connection.execute(overdue)).scalars().all():
            await lose_attempts(hub, connection, job_id)
            row = (await connection.execute(select(job).where(job.c.id == job_id).with_for_update())).one()
            if row.cancelled_at is not None:
                await conclude_cancelled(hub, connection, job_id)
            elif row.attempts >= MAX_ATTEMPTS:
                await fail_job(
                    hub, connection, job_id, errors.DeviceLost(f"{MAX_ATTEMPTS} agents took this job and were lost")
                )
            else:
                await _again(hub, connection, job_id)


async def _forgive(connection: AsyncConnection) -> None:
    """Start all leases anew if nobody swept for a while: then the hub or its database was away, not the agents."""
    now = func.extract("epoch", func.clock_timestamp())
    swept = (
        select(now, setting.c.value).select_from(func.now().alias("one")).outerjoin(setting, setting.c.name == SWEPT)
    )
    at, before = (await connection.execute(swept)).one()
    kept = upsert(setting).values(name=SWEPT, value=str(at))
    await connection.execute(kept.on_conflict_do_update(index_elements=["name"], set_={"value": str(at)}))
    if before is None or float(at) - float(before) > AWAY_S:
        older = attempt.c.renewed_at < func.now() - func.make_interval(0, 0, 0, 0, 0, 0, AWAY_S)
        again = update(attempt).where(attempt.c.state == "running", older).values(renewed_at=func.now())
        await connection.execute(again)


async def _end(connection: AsyncConnection, attempt_id: uuid.UUID, state: str, failure: object) -> Row[Any] | None:
    """Close the attempt, whose id is the fence, and free its device; None when that was said before."""
    running = (attempt.c.id == attempt_id, attempt.c.state == "running")
    changes = {"state": state, "failure": failure, "finished_at": func.now()}
    freed = update(device).where(device.c.attempt_id == attempt_id, device.c.id == attempt.c.device_id, *running)
    closed = update(attempt).where(*running).values(changes).returning(attempt)
    ended: Row[Any] | None = (
        await connection.execute(closed.add_cte(freed.values(attempt_id=None).cte("freed")))
    ).one_or_none()
    if ended is None:
        if await connection.scalar(select(attempt.c.state).where(attempt.c.id == attempt_id)) == state:
            return None
        raise errors.Conflict(f"the attempt {attempt_id} is over: its lease ran out, or the job was cancelled")
    return ended


async def _again(hub: Hub, connection: AsyncConnection, job_id: str) -> None:
    """Queue a job for another attempt."""
    row = (await connection.execute(select(job).where(job.c.id == job_id))).one()
    await hub.queue.finish(connection, row.queue_entry)
    entry = await hub.queue.enqueue(connection, pool(row.device_name, row.device_os), job_id, row.priority + 1)
    changes = {"state": "queued", "queue_entry": entry, "updated_at": func.now()}
    await connection.execute(update(job).where(job.c.id == job_id).values(changes))


async def _conclude(hub: Hub, connection: AsyncConnection, job_id: str, state: str, changes: dict[str, object]) -> None:
    row = (
        await connection.execute(
            update(job)
            .where(job.c.id == job_id)
            .values(state=state, finished_at=func.now(), updated_at=func.now(), **changes)
            .returning(job.c.queue_entry)
        )
    ).one()
    await hub.queue.finish(connection, row.queue_entry)
