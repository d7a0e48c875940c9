"""Browsers whose time is over, and links that nobody followed in time."""

from __future__ import annotations

from sqlalchemy import delete, func

from dynolab.hub.store.tables import invitation, session
from dynolab.hub.usecases.base import Hub


async def sweep_sessions(hub: Hub) -> None:
    """Remove their rows; they opened nothing any more."""
    async with hub.database.single() as connection:
        for table in (session, invitation):
            await connection.execute(delete(table).where(table.c.expires_at < func.now()))
