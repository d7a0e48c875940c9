"""What is said of an attempt counts only from who claimed it."""

from __future__ import annotations

import uuid

from sqlalchemy import bindparam, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import NotFound
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import attempt
from dynolab.hub.usecases.base import Account

_STATE = Prepared(
    select(attempt.c.state).where(attempt.c.id == bindparam("attempt"), attempt.c.token_id == bindparam("token"))
)


async def check_claimed(connection: AsyncConnection, agent: Account, attempt_id: uuid.UUID) -> str:
    """The attempt's state. Raises :class:`NotFound` unless it was claimed with the agent's token."""
    state: str | None = await _STATE.scalar(connection, attempt=attempt_id, token=agent.token_id)
    if state is None:
        raise NotFound(f"there is no attempt {attempt_id} that was claimed with this token")
    return state
