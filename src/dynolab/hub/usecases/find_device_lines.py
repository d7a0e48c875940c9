"""The lines of devices, each a pool and a system: what a page of devices is a part of."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from functools import cache

from sqlalchemy import case, func, select

from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import attempt, device, pool
from dynolab.hub.usecases.access import Given
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_board_states import HELD, SEEN, BoardFilter, is_away, matching
from dynolab.spec.device_wishes import version

STATES = ("free", "busy", "away", "unfit", "quarantined")


@dataclass(frozen=True, slots=True)
class DeviceLine:
    """The boards of one pool and system."""

    pool_id: str
    os: str
    name: str


async def find_device_lines(hub: Hub, account: Account, *, text: str = "") -> tuple[list[DeviceLine], Counter[str]]:
    """Those that the account is told of, by name; of one name its own first, then the newest system. And the states of their boards.

    ``text``: those with a board that has it in its id, name, system, attributes or description; these boards alone are
    counted. They are free, busy or away; free ones that take no job are counted as ``unfit`` or ``quarantined``.
    """
    wanted = BoardFilter(text=text)
    async with hub.database.single() as connection:
        rows = await _finding(account.given_with_rights, wanted.given).all(connection, **wanted.told, **account.told)
    newest = sorted(rows, key=lambda row: (row.account_id == account.id, version(row.os)), reverse=True)
    by_name = sorted(newest, key=lambda row: (row.name.casefold(), row.account_id != account.id, row.email))
    counted = {state: sum(getattr(row, state) for row in rows) for state in STATES}
    states = Counter({state: count for state, count in counted.items() if count})
    return [DeviceLine(row.pool_id, row.os, row.name) for row in by_name], states


@cache
def _finding(who: Given, given: frozenset[str]) -> Prepared:
    columns = device.c.pool_id, device.c.os, pool.c.name, pool.c.account_id, accounts.c.email
    unwell = case((device.c.unfit != "", "unfit"), (device.c.health == "quarantined", "quarantined"), else_="free")
    state = case((attempt.c.id.is_not(None), "busy"), (is_away(SEEN), "away"), else_=unwell)
    found = (
        select(*columns, *(func.count().filter(state == one).label(one) for one in STATES))
        .select_from(device.outerjoin(attempt, HELD))
        .join(pool, pool.c.id == device.c.pool_id)
        .join(accounts, accounts.c.id == pool.c.account_id)
        .where(*matching(who, given))
        .group_by(*columns)
    )
    return Prepared(found)
