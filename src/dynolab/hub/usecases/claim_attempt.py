"""An agent claims the next job for its device."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, exists, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab import errors
from dynolab.hub.store.tables import attempt, blob, dataset, device, job, model
from dynolab.hub.usecases.announce_device import announce_device
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.create_model import file_name
from dynolab.hub.usecases.find_devices import board_queue, pool
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest

WAIT_MAX_S = 25.0
CHANGING_S = 0.02


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
    own, queues = board_queue(offered.id), [pool(offered.name, offered.os), board_queue(offered.id)]
    until = asyncio.get_running_loop().time() + min(request.wait_s, WAIT_MAX_S)
    held = False
    while True:
        # Before each look, so that no notice is missed; who cannot take a job of the pool is not told of any.
        async with hub.wakeups.waiter([own] if held else queues, takes=True) as woken:
            claim, still_held = await _look(hub, offered.id, queues)
            left_s = until - asyncio.get_running_loop().time()
            if claim is not None or left_s <= 0 or hub.wakeups.closed:
                return claim
            if still_held != held:
                held = still_held
                woken.set()  # for somebody else
                continue
            try:
                await asyncio.wait_for(woken.wait(), left_s)
            except TimeoutError:
                return None
            woken.clear()


class _Changing(Exception):
    """Somebody changes the job at this moment, such as its owner who cancels it."""


async def _look(hub: Hub, device_id: str, queues: list[str]) -> tuple[Claim | None, bool]:
    """A claim if there is one, and whether the board is held by another attempt."""
    while True:
        try:
            return await _claim(hub, device_id, queues)
        except _Changing:
            await asyncio.sleep(CHANGING_S)


async def _claim(hub: Hub, device_id: str, queues: list[str]) -> tuple[Claim | None, bool]:
    """One look into the queues, in one transaction; entries of jobs that are over are cleared away.

    It waits for nobody's lock but its board's, so that it has a part in no deadlock.
    """
    async with hub.database.begin() as connection:
        holder = attempt.c.id == device.c.attempt_id, attempt.c.state == "running"
        held = exists().where(*holder).label("held")
        board = select(held).where(device.c.id == device_id).with_for_update(of=device)
        if await connection.scalar(board):
            return None, True
        attempt_id = uuid.uuid4()
        while (claimed := await hub.queue.claim(connection, queues, attempt_id)) is not None:
            wanted = select(job).where(job.c.id == claimed.payload)
            found = (await connection.execute(wanted.with_for_update(skip_locked=True))).one_or_none()
            if found is None and (await connection.execute(wanted)).one_or_none() is not None:
                raise _Changing
            if found is None or found.state != "queued" or found.cancelled_at is not None:
                await hub.queue.finish(connection, claimed.entry)
                continue
            return await _start(connection, found, device_id, attempt_id), False
    return None, False


async def _start(connection: AsyncConnection, found: Row[Any], device_id: str, attempt_id: uuid.UUID) -> Claim:
    number = found.attempts + 1
    values = {"id": attempt_id, "job_id": found.id, "number": number, "device_id": device_id, "state": "running"}
    held = update(device).where(device.c.id == device_id).values(attempt_id=attempt_id, seen_at=func.now())
    changes = {"state": "preparing", "attempts": number, "started_at": func.now(), "updated_at": func.now()}
    begun = update(job).where(job.c.id == found.id).values(changes)
    await connection.execute(begun.add_cte(insert(attempt).values(values).cte("made"), held.cte("held")))
    with_bytes = select(model, blob.c.bytes.label("size")).join(blob, blob.c.id == model.c.blob_id)
    source = (await connection.execute(with_bytes.where(model.c.id == found.model_id))).one()
    data = None
    if found.dataset_id is not None:
        with_data = select(dataset, blob.c.bytes.label("size")).join(blob, blob.c.id == dataset.c.blob_id)
        data = (await connection.execute(with_data.where(dataset.c.id == found.dataset_id))).one()
    name = file_name(source.name, source.kind, source.is_directory)
    return Claim(attempt_id, number, found, source, source.size, name, data, data.size if data else 0)
