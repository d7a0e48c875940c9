"""A job's log: the last attempt's whole log, or as much of it as has come."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from sqlalchemy import Row, select

from dynolab.errors import NotFound
from dynolab.hub.store.tables import attempt, live_log
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.read_blob import read_blob


async def read_log(hub: Hub, row: Row[Any]) -> tuple[int, AsyncIterator[bytes]]:
    """Size and bytes of the log of the job whose row this is. Raises :class:`NotFound` when there is none yet."""
    if row.log_blob_id is not None:
        return await read_blob(hub, row.log_blob_id)
    text = await read_live_log(hub, row)
    if text is None:
        raise NotFound(f"the job {row.id} has no log yet: it is {row.state}")
    content = text.encode()
    return len(content), _whole(content)


async def read_live_log(hub: Hub, row: Row[Any]) -> str | None:
    """The end of what the job's last attempt logged before its whole log came; None: it said nothing yet."""
    last = select(attempt.c.id).where(attempt.c.job_id == row.id).order_by(attempt.c.number.desc()).limit(1)
    async with hub.database.begin() as connection:
        text: str | None = await connection.scalar(
            select(live_log.c.text).where(live_log.c.attempt_id == last.scalar_subquery())
        )
    return text


async def _whole(content: bytes) -> AsyncIterator[bytes]:
    yield content
