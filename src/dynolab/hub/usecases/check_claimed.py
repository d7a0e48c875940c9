"""What is said of an attempt counts only from who claimed it."""

from __future__ import annotations

import uuid

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import NotFound
from dynolab.hub.store.tables import attempt
from dynolab.hub.usecases.base import Account


async def check_claimed(connection: AsyncConnection, agent: Account, attempt_id: uuid.UUID) -> str:
    """The attempt's state. Raises :class:`NotFound` unless it was claimed with the agent's token."""
    mine = attempt.c.id == attempt_id, attempt.c.token_id == agent.token_id
    state: str | None = await connection.scalar(select(attempt.c.state).where(*mine))
    if state is None:
        raise NotFound(f"there is no attempt {attempt_id} that was claimed with this token")
    return state
