"""What the hub's devices can run."""

from __future__ import annotations

from sqlalchemy import select

from dynolab.hub.store.tables import device
from dynolab.hub.usecases.base import Hub


async def find_frameworks(hub: Hub) -> list[tuple[str, str]]:
    """Name and version of every framework that some device offers, by name, newest first."""
    async with hub.database.begin() as connection:
        lists = (await connection.execute(select(device.c.frameworks))).scalars().all()
    found = {(one["name"], one["version"]) for frameworks in lists for one in frameworks}
    return sorted(sorted(found, reverse=True), key=lambda one: one[0])
