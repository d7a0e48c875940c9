"""Browsers whose time is over, links that nobody followed in time, and join and logout tokens that are long over."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func

from dynolab.hub.store.tables import invitation, join_token, logout_token, session
from dynolab.hub.usecases.base import Hub

JOIN_KEPT = timedelta(days=1)
"""For so long it is told what became of a join token, after its end."""


async def sweep_sessions(hub: Hub) -> None:
    """Remove their rows; they opened nothing any more."""
    async with hub.database.single() as connection:
        for table in (session, invitation, logout_token):
            await connection.execute(delete(table).where(table.c.expires_at < func.now()))
        await connection.execute(delete(join_token).where(join_token.c.expires_at < func.now() - JOIN_KEPT))
