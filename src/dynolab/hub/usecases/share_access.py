"""Whom a job, model or dataset is shared with. Sharing a job shares its model and data as well."""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlalchemy import Table, delete, select
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Forbidden, SpecInvalid
from dynolab.hub.store.tables import account as owners
from dynolab.hub.store.tables import job, share
from dynolab.hub.usecases.base import Account, Hub, one

EMAIL = re.compile(r"[^@\s]+@[^@\s]+")


async def shared_with(hub: Hub, account: Account, table: Table, target_id: str) -> list[str]:
    """The addresses, sorted. Raises :class:`NotFound`."""
    async with hub.database.begin() as connection:
        await one(connection, table, target_id, account)
        found = select(share.c.email).where(share.c.target_id == target_id).order_by(share.c.email)
        return list((await connection.execute(found)).scalars())


async def change_sharing(
    hub: Hub, account: Account, table: Table, target_id: str, *, add: Sequence[str] = (), remove: Sequence[str] = ()
) -> list[str]:
    """Share with some addresses, and no longer with others; those of ``add`` that nobody here has, yet.

    Raises :class:`NotFound`, :class:`Forbidden` for what is another's, and :class:`SpecInvalid` for what is no address.
    """
    wrong = next((email for email in (*add, *remove) if not EMAIL.fullmatch(email)), None)
    if wrong is not None:
        raise SpecInvalid(f"{wrong!r} is no e-mail address")
    async with hub.database.begin() as connection:
        targets = await _targets(connection, account, table, target_id)
        for email in add:
            rows = [{"target_id": target, "email": email} for target in targets]
            await connection.execute(insert(share).values(rows).on_conflict_do_nothing())
        gone = share.c.target_id.in_(targets), share.c.email.in_(list(remove))
        await connection.execute(delete(share).where(*gone))
        known = set((await connection.execute(select(owners.c.email).where(owners.c.email.in_(list(add))))).scalars())
    return [email for email in add if email not in known]


async def stop_sharing(hub: Hub, account: Account, table: Table, target_id: str) -> None:
    """Share with nobody. Raises :class:`NotFound`, and :class:`Forbidden` for what is another's."""
    async with hub.database.begin() as connection:
        targets = await _targets(connection, account, table, target_id)
        await connection.execute(delete(share).where(share.c.target_id.in_(targets)))


async def _targets(connection: AsyncConnection, account: Account, table: Table, target_id: str) -> list[str]:
    """What a change of sharing is about: the object itself, and what belongs to a job."""
    row = await one(connection, table, target_id, account)
    if row.account_id != account.id:
        raise Forbidden(f"the {table.name} {target_id} is another's: only its owner may share it")
    if table is not job:
        return [target_id]
    return [target_id, *filter(None, (row.model_id, row.dataset_id, row.output_dataset_id))]
