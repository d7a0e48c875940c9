"""With which of several things an account may do something: pages offer it there alone."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import Table

from dynolab.hub.usecases.access import allowed_among
from dynolab.hub.usecases.base import Account, Hub


async def find_allowed(hub: Hub, account: Account, table: Table, ids: Sequence[str], act: str = "rename") -> set[str]:
    """Those of the jobs, models or datasets; ``act`` is one of :data:`~dynolab.hub.usecases.access.ACTS`."""
    if not ids:
        return set()
    async with hub.database.single() as connection:
        return await allowed_among(connection, table, list(ids), account, act)
