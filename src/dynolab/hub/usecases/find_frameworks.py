"""What the hub's devices can run."""

from __future__ import annotations

from sqlalchemy import select

from dynolab.hub.store.tables import device, pool
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.pool_rights import may_send, trusts


async def find_frameworks(hub: Hub, account: Account) -> list[tuple[str, str]]:
    """Name and version of every framework that some device offers to which the account's jobs may go, by name, newest first."""
    usable = select(device.c.frameworks).join(pool, pool.c.id == device.c.pool_id)
    lists = usable.where(may_send(account), trusts(account)).distinct()
    async with hub.database.begin() as connection:
        each = list((await connection.execute(lists)).scalars())
    found = {(one["name"], one["version"]) for frameworks in each for one in frameworks}
    return sorted(sorted(found, reverse=True), key=lambda one: one[0])
