"""What the hub's devices can run."""

from __future__ import annotations

from functools import cache

from sqlalchemy import select

from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import device, pool
from dynolab.hub.usecases.access import Given
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.pool_rights import may_send, trusts


async def find_frameworks(hub: Hub, account: Account) -> list[tuple[str, str]]:
    """Name and version of every framework that some device offers to which the account's jobs may go, by name, newest first."""
    async with hub.database.single() as connection:
        rows = await _lists(account.given).all(connection, **account.told)
    found = {(one["name"], one["version"]) for row in rows for one in row.frameworks}
    return sorted(sorted(found, reverse=True), key=lambda one: one[0])


@cache
def _lists(who: Given) -> Prepared:
    usable = select(device.c.frameworks).join(pool, pool.c.id == device.c.pool_id)
    return Prepared(usable.where(may_send(who), trusts(who)).distinct())
