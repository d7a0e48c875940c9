"""A board is quarantined or released by hand."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Forbidden, NotFound
from dynolab.hub.store.tables import device, pool
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.board_health import health_columns, health_of
from dynolab.hub.usecases.find_devices import board_queue
from dynolab.hub.usecases.pool_rights import owns, sees
from dynolab.spec.board_health import Health

BY_HAND = "put there by hand"


async def quarantine_board(hub: Hub, account: Account, device_id: str, *, reason: str = "") -> None:
    """The board takes no job until somebody releases it; one that runs there goes on. Probes go on, and change nothing of it.

    Raises :class:`NotFound`, and :class:`Forbidden` for a board of another's pool.
    """
    bounds.check_text(reason, "reason")
    async with hub.database.begin() as connection:
        await _owned(connection, account, device_id)
        await _set(connection, device_id, Health("quarantined", reason.strip() or BY_HAND, by=account.email))
        await note(connection, "device.quarantine", "device", device_id, details={"reason": reason.strip()})


async def release_board(hub: Hub, account: Account, device_id: str, *, relearn: bool = False) -> None:
    """The board takes jobs again: on probation, where one probe out of its band sends it back.

    ``relearn``: what it was until now does not count any more; its band is learned anew. One that is well stays as it is.
    Raises what :func:`quarantine_board` does.
    """
    async with hub.database.begin() as connection:
        health = health_of(await _owned(connection, account, device_id))
        if health.state == "quarantined" or health.bad or relearn:
            await _set(connection, device_id, Health("probation", f"released by {account.email}"))
        if relearn:
            anew = {"learns_from": func.now(), "drift": ""}
            await connection.execute(update(device).where(device.c.id == device_id).values(anew))
        await connection.execute(update(device).where(device.c.id == device_id).values(rests_until=None))
        await note(connection, "device.release", "device", device_id, details={"relearn": relearn})
        await hub.queue.wake(connection, board_queue(device_id))


async def _owned(connection: AsyncConnection, account: Account, device_id: str) -> Row[Any]:
    found = select(device, owns(account).label("is_own")).join(pool, pool.c.id == device.c.pool_id)
    found = found.where(device.c.id == device_id, sees(account)).with_for_update(of=device)
    row = (await connection.execute(found)).one_or_none()
    if row is None:
        raise NotFound(
            f"there is no device {device_id!r}", hint="`dynolab devices boards` lists the boards with their ids"
        )
    if not row.is_own:
        raise Forbidden(f"the device {device_id!r} is another's: only its owner or an administrator may say so")
    return row


async def _set(connection: AsyncConnection, device_id: str, health: Health) -> None:
    changes = {**health_columns(health), "health_since": func.now()}
    await connection.execute(update(device).where(device.c.id == device_id).values(**changes))
