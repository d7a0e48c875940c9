"""The lines of devices, each a pool and a system: what a page of devices is a part of."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import device, pool
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_board_states import BoardFilter, matching
from dynolab.spec.device_wishes import version


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """The boards of one pool and system."""

    pool_id: str
    os: str
    name: str


async def find_device_lines(hub: Hub, account: Account, *, text: str = "") -> list[DeviceLine]:
    """Those that the account is told of, by name; of one name its own first, then the newest system.

    ``text``: those with a board that has it in its id, name, system, attributes or description.
    """
    columns = device.c.pool_id, device.c.os, pool.c.name, pool.c.account_id, accounts.c.email
    found = (
        select(*columns, func.count())
        .join(pool, pool.c.id == device.c.pool_id)
        .join(accounts, accounts.c.id == pool.c.account_id)
        .where(*matching(account, BoardFilter(text=text)))
        .group_by(*columns)
    )
    async with hub.database.single() as connection:
        rows = (await connection.execute(found)).all()
    newest = sorted(rows, key=lambda row: (row.account_id == account.id, version(row.os)), reverse=True)
    by_name = sorted(newest, key=lambda row: (row.name.casefold(), row.account_id != account.id, row.email))
    return [DeviceLine(row.pool_id, row.os, row.name) for row in by_name]
