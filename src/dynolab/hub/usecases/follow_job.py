"""What a job is at now, and how it goes on."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import select

from dynolab.hub.scheduling.followers import Watcher
from dynolab.hub.store.tables import attempt, job
from dynolab.hub.usecases.base import Account, Hub


@dataclass(frozen=True, slots=True)
class Moment:
    """A job at one moment; ``progress`` is what the last attempt's agent said."""

    state: str
    attempts: int
    progress: Any
    failure: Any
    summary: Any
    over: bool


_PROGRESS = (
    select(attempt.c.progress)
    .where(attempt.c.job_id == job.c.id)
    .order_by(attempt.c.number.desc())
    .limit(1)
    .scalar_subquery()
)


@asynccontextmanager
async def follow_job(hub: Hub, account: Account, job_id: str) -> AsyncIterator[Watcher]:
    """A watcher whose ``seen`` is a :class:`Moment`, or None once the job is deleted. The caller has seen to who may look."""
    async with hub.followers.watch(job_id, partial(_moments, hub), account.id) as watcher:
        yield watcher


async def _moments(hub: Hub, ids: Collection[str]) -> Mapping[str, object]:
    columns = (job.c.id, job.c.state, job.c.attempts, job.c.failure, job.c.summary, job.c.finished_at)
    found = select(*columns, _PROGRESS.label("progress")).where(job.c.id.in_(list(ids)))
    async with hub.database.begin() as connection:
        rows = (await connection.execute(found)).all()
    return {
        row.id: Moment(row.state, row.attempts, row.progress, row.failure, row.summary, row.finished_at is not None)
        for row in rows
    }
