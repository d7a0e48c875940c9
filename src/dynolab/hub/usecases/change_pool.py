"""Who may send jobs to a pool of devices, and who may bring devices into it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from sqlalchemy import Row, delete, func, not_, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import DeviceLost, Forbidden, NotFound, SpecInvalid
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import attempt, device, job, pool, pool_grant, token
from dynolab.hub.usecases.addresses import as_spelled
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.end_attempt import give_back
from dynolab.hub.usecases.find_devices import board_queue
from dynolab.hub.usecases.find_organisations import organisation_row
from dynolab.hub.usecases.policy import Verb
from dynolab.hub.usecases.pool_rights import may_join, owns, sees
from dynolab.hub.usecases.share_access import SHARED_MOST, checked_emails
from dynolab.hub.usecases.withdraw_jobs import withdraw_jobs


@dataclass(frozen=True, slots=True)
class PoolChange:
    """What is to change; ``remove``: addresses that lose what they were granted. ``is_open`` None: as it is."""

    let_send: Sequence[str] = ()
    let_join: Sequence[str] = ()
    remove: Sequence[str] = ()
    is_open: bool | None = field(default=None)
    organisation: str | None = None
    """The one that it is given to, by id or name; empty: taken back; None: as it is."""


async def change_pool(hub: Hub, account: Account, pool_id: str, change: PoolChange) -> None:
    """Grant and take away. Jobs that wait and may not any more fail; devices of who may not join any more are put out.

    Raises :class:`NotFound`, :class:`Forbidden` for another's pool, and :class:`SpecInvalid` for what is no address.
    """
    checked_emails([*change.let_send, *change.let_join, *change.remove])
    async with hub.database.begin() as connection:
        await _owned(connection, account, pool_id)
        change = await _spelled(connection, change)
        if change.is_open is not None:
            await connection.execute(update(pool).where(pool.c.id == pool_id).values(is_open=change.is_open))
        gone = pool_grant.c.pool_id == pool_id, pool_grant.c.email.in_(list(change.remove))
        await connection.execute(delete(pool_grant).where(*gone))
        await _grant(connection, account, pool_id, change)
        if change.organisation is not None:
            await _give(connection, account, pool_id, change.organisation)
        await withdraw_jobs(hub, connection, job.c.pool_id == pool_id)
        await _put_out(hub, connection, pool_id)
        told = {
            "send": change.let_send,
            "join": change.let_join,
            "remove": change.remove,
            "open": change.is_open,
            "organisation": change.organisation,
        }
        await note(connection, "pool.change", "pool", pool_id, details=told)
    hub.announced.clear()


async def _spelled(connection: AsyncConnection, change: PoolChange) -> PoolChange:
    """The same, with addresses of accounts as they are spelled; what is taken away goes in any spelling that it was given in."""
    send, join = [await as_spelled(connection, emails) for emails in (change.let_send, change.let_join)]
    remove = list(dict.fromkeys([*change.remove, *await as_spelled(connection, change.remove)]))
    return replace(change, let_send=send, let_join=join, remove=remove)


async def _owned(connection: AsyncConnection, account: Account, pool_id: str) -> Row[tuple[str]]:
    """The pool's row, locked. Raises :class:`NotFound` for one that the account is not told of, and :class:`Forbidden`."""
    found = select(pool.c.id, owns(account).label("is_own")).where(pool.c.id == pool_id, sees(account))
    row = (await connection.execute(found.with_for_update(of=pool))).one_or_none()
    if row is None:
        raise NotFound(f"there is no pool of devices {pool_id!r}", hint="`GET pools` lists those that you are told of")
    if not row.is_own:
        raise Forbidden(f"the pool {pool_id} is another's: only its owner or an administrator may say who uses it")
    return row


async def _give(connection: AsyncConnection, account: Account, pool_id: str, named: str) -> None:
    """Have the pool belong to an organisation that the account manages, or to none."""
    given = None if not named else (await organisation_row(connection, account, named, Verb.MANAGE)).id
    await connection.execute(update(pool).where(pool.c.id == pool_id).values(organisation_id=given))


async def _grant(connection: AsyncConnection, account: Account, pool_id: str, change: PoolChange) -> None:
    wanted = [
        (email, what) for what, emails in (("send", change.let_send), ("join", change.let_join)) for email in emails
    ]
    rows = [
        {"pool_id": pool_id, "email": email, "what": what, "granted_by": account.id}
        for email, what in dict.fromkeys(wanted)
    ]
    if not rows:
        return
    await connection.execute(insert(pool_grant).values(rows).on_conflict_do_nothing())
    count = await connection.scalar(select(func.count()).where(pool_grant.c.pool_id == pool_id))
    if int(count or 0) > SHARED_MOST:
        raise SpecInvalid(f"the pool {pool_id} would have more than {SHARED_MOST} grants")


async def _put_out(hub: Hub, connection: AsyncConnection, pool_id: str) -> None:
    """Take out the devices of accounts that may not join (any more); what they ran goes to others, and their agents hear of it."""
    foreign = select(device.c.id).join(token, token.c.id == device.c.token_id)
    foreign = foreign.join(accounts, accounts.c.id == token.c.account_id).join(pool, pool.c.id == device.c.pool_id)
    out = foreign.where(device.c.pool_id == pool_id, not_(may_join(accounts.c)))
    gone = update(device).where(device.c.id.in_(out)).values(pool_id=None).returning(device.c.id)
    device_ids = (await connection.execute(gone)).scalars().all()
    running = select(attempt.c.job_id).where(attempt.c.device_id.in_(device_ids), attempt.c.state == "running")
    for job_id in (await connection.execute(running)).scalars().all():
        await give_back(hub, connection, job_id, DeviceLost("the device was put out of its pool"))
    for device_id in device_ids:
        await hub.queue.wake(connection, board_queue(device_id))
