"""Whose devices may receive an account's models."""

from __future__ import annotations

from sqlalchemy import delete, func, select
from sqlalchemy.dialects.postgresql import insert

from dynolab.errors import NotFound, SpecInvalid
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import job, trust
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.addresses import account_at
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.share_access import SHARED_MOST
from dynolab.hub.usecases.withdraw_jobs import withdraw_jobs


async def trust_owner(hub: Hub, account: Account, email: str) -> None:
    """From now on that account's pools may receive the models. Raises :class:`NotFound` for an address without an account."""
    check_whole(account)
    async with hub.database.begin() as connection:
        owner = await account_at(connection, email)
        if owner is None:
            raise NotFound(
                f"nobody here has the address {email!r}", hint="`dynolab devices` tells whose devices there are"
            )
        values = {"account_id": account.id, "owner_id": owner.id}
        await connection.execute(insert(trust).values(values).on_conflict_do_nothing())
        count = await connection.scalar(select(func.count()).where(trust.c.account_id == account.id))
        if int(count or 0) > SHARED_MOST:
            raise SpecInvalid(f"more than {SHARED_MOST} accounts would be trusted")
        await note(connection, "trust.add", "account", owner.id, details={"email": owner.email})


async def stop_trusting(hub: Hub, account: Account, email: str) -> None:
    """Not any more; jobs that wait for that account's devices fail. Raises :class:`NotFound` where it was not trusted."""
    check_whole(account)
    owner = select(accounts.c.id).where(accounts.c.email == email).scalar_subquery()
    async with hub.database.begin() as connection:
        gone = delete(trust).where(trust.c.account_id == account.id, trust.c.owner_id == owner)
        if (await connection.execute(gone.returning(trust.c.owner_id))).one_or_none() is None:
            raise NotFound(f"{email!r} was not trusted with your models", hint="administrators of the hub always are")
        await withdraw_jobs(hub, connection, job.c.account_id == account.id)
        await note(connection, "trust.remove", "account", details={"email": email})
