"""An agent claims the next job for its device."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab import errors
from dynolab.hub.store.tables import attempt, blob, dataset, device, job, model
from dynolab.hub.usecases.announce_device import announce_device
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.create_model import file_name
from dynolab.hub.usecases.end_attempt import MAX_ATTEMPTS, fail_job, lose_attempts
from dynolab.hub.usecases.find_devices import pool
from dynolab.hub.usecases.submit_job import LIVE
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest

WAIT_MAX_S = 25.0


@dataclass(frozen=True, slots=True)
class Claim:
    """An attempt, and the rows that it is about."""

    attempt_id: uuid.UUID
    number: int
    job: Row[Any]
    model: Row[Any]
    model_bytes: int
    file_name: str
    dataset: Row[Any] | None
    dataset_bytes: int


async def claim_attempt(hub: Hub, agent: Account, request: ClaimRequest) -> Claim | None:
    """A job for this device, or None when none came within ``wait_s``.

    Raises :class:`Conflict` when hub and agent do not speak the same protocol.
    """
    if request.protocol != AGENT_PROTOCOL:
        raise errors.Conflict(
            f"the agent speaks protocol {request.protocol}, this hub speaks {AGENT_PROTOCOL}",
            hint="install the same version of dynolab on both sides",
        )
    await announce_device(hub, agent, request.device)
    offered = request.device
    queues = [pool(offered.name, offered.os), f"device:{offered.id}"]
    until = asyncio.get_running_loop().time() + min(request.wait_s, WAIT_MAX_S)
    async with hub.wakeups.waiter(queues) as woken:  # before the first look, so that no notice is missed
        while True:
            woken.clear()
            claim = await _claim(hub, offered.id, queues)
            left_s = until - asyncio.get_running_loop().time()
            if claim is not None or left_s <= 0 or hub.wakeups.closed:
                return claim
            try:
                await asyncio.wait_for(woken.wait(), left_s)
            except TimeoutError:
                return None


async def _claim(hub: Hub, device_id: str, queues: list[str]) -> Claim | None:
    """One look into the queues, in one transaction; entries of jobs that are over are cleared away."""
    async with hub.database.begin() as connection:
        await connection.execute(update(device).where(device.c.id == device_id).values(seen_at=func.now()))
        board = select(device.c.attempt_id).where(device.c.id == device_id).with_for_update()
        held = await connection.scalar(board)
        if held is not None and await _still_running(connection, held, hub.limits.lease_s):
            return None
        attempt_id = uuid.uuid4()
        while (claimed := await hub.queue.claim(connection, queues, attempt_id, hub.limits.lease_s)) is not None:
            found = (
                await connection.execute(select(job).where(job.c.id == claimed.payload).with_for_update())
            ).one_or_none()
            if found is None or found.state not in LIVE or found.cancelled_at is not None:
                await hub.queue.finish(connection, claimed.entry)
                continue
            await lose_attempts(connection, found.id)
            if found.attempts >= MAX_ATTEMPTS:
                await fail_job(
                    hub, connection, found.id, errors.DeviceLost(f"{MAX_ATTEMPTS} agents took this job and were lost")
                )
                continue
            return await _start(connection, found, device_id, attempt_id)
    return None


async def _still_running(connection: AsyncConnection, attempt_id: uuid.UUID, lease_s: float) -> bool:
    fresh = attempt.c.renewed_at > func.now() - func.make_interval(0, 0, 0, 0, 0, 0, lease_s)
    running = select(attempt.c.id).where(attempt.c.id == attempt_id, attempt.c.state == "running", fresh)
    return await connection.scalar(running) is not None


async def _start(connection: AsyncConnection, found: Row[Any], device_id: str, attempt_id: uuid.UUID) -> Claim:
    number = found.attempts + 1
    values = {"id": attempt_id, "job_id": found.id, "number": number, "device_id": device_id, "state": "running"}
    await connection.execute(insert(attempt).values(values))
    await connection.execute(update(device).where(device.c.id == device_id).values(attempt_id=attempt_id))
    changes = {"state": "preparing", "attempts": number, "started_at": func.now(), "updated_at": func.now()}
    await connection.execute(update(job).where(job.c.id == found.id).values(changes))
    with_bytes = select(model, blob.c.bytes.label("size")).join(blob, blob.c.id == model.c.blob_id)
    source = (await connection.execute(with_bytes.where(model.c.id == found.model_id))).one()
    data = None
    if found.dataset_id is not None:
        with_data = select(dataset, blob.c.bytes.label("size")).join(blob, blob.c.id == dataset.c.blob_id)
        data = (await connection.execute(with_data.where(dataset.c.id == found.dataset_id))).one()
    name = file_name(source.id, source.kind, source.is_directory)
    return Claim(attempt_id, number, found, source, source.size, name, data, data.size if data else 0)
