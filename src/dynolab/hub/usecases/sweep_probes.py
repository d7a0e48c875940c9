"""Probes of boards that are too old to tell anything."""

from __future__ import annotations

from sqlalchemy import delete, func

from dynolab.hub.store.tables import probe
from dynolab.hub.usecases.base import Hub
from dynolab.spec.board_health import BAND_DAYS, DRIFT_DAYS

KEPT_DAYS = max(BAND_DAYS, DRIFT_DAYS) + 1


async def sweep_probes(hub: Hub) -> None:
    """Remove them."""
    async with hub.database.single() as connection:
        old = probe.c.at < func.now() - func.make_interval(0, 0, 0, KEPT_DAYS)
        await connection.execute(delete(probe).where(old))
