"""Jobs that an account may see, newest first, with what belongs to them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Row, and_, func, or_, select
from sqlalchemy.sql import Select

from dynolab.errors import NotFound
from dynolab.hub.store.tables import account as account_table
from dynolab.hub.store.tables import attempt, job, model
from dynolab.hub.usecases.base import Account, Hub, containing, earlier, visible


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs: empty is all. ``states`` and ``kinds`` are the table's; ``creator`` is an e-mail address."""

    states: Collection[str] = ()
    kinds: Collection[str] = ()
    creator: str = ""
    project_id: str = ""
    device_name: str = ""
    model_id: str = ""
    text: str = ""
    """A part of the job's name or id."""


_LAST_LOG = (
    select(attempt.c.log_blob_id)
    .where(attempt.c.job_id == job.c.id)
    .order_by(attempt.c.number.desc())
    .limit(1)
    .scalar_subquery()
)


def _jobs() -> Select[Any]:
    """Rows of jobs with their owner (``email``), their model's facts (``model_*``) and the last attempt's log."""
    return (
        select(
            job,
            account_table.c.email,
            account_table.c.name.label("owner_name"),
            model.c.name.label("model_name"),
            model.c.kind.label("model_kind"),
            model.c.is_directory.label("model_is_directory"),
            model.c.created_at.label("model_created_at"),
            _LAST_LOG.label("log_blob_id"),
        )
        .join(account_table, account_table.c.id == job.c.account_id)
        .join(model, model.c.id == job.c.model_id)
    )


async def find_job(hub: Hub, account: Account, job_id: str) -> Row[Any]:
    """One job. Raises :class:`NotFound` for one that is not there, or another's."""
    async with hub.database.begin() as connection:
        row: Row[Any] | None = (
            await connection.execute(_jobs().where(job.c.id == job_id, visible(job, account)))
        ).one_or_none()
    if row is None:
        raise NotFound(f"there is no job {job_id!r}", hint="it may have been deleted, or belong to another")
    return row


async def find_jobs(
    hub: Hub, account: Account, wanted: JobFilter, *, limit: int, offset: int = 0
) -> tuple[list[Row[Any]], int]:
    """A page of jobs, and how many there are in all."""
    conditions = _conditions(account, wanted)
    page = _jobs().where(*conditions).order_by(job.c.created_at.desc(), job.c.id).limit(limit).offset(offset)
    owners = job.join(account_table, account_table.c.id == job.c.account_id)
    count = select(func.count()).select_from(owners).where(and_(*conditions))
    async with hub.database.begin() as connection:
        rows = (await connection.execute(page)).all()
        total = await connection.scalar(count)
    return list(rows), int(total or 0)


async def page_jobs(
    hub: Hub, account: Account, wanted: JobFilter, *, limit: int, before: tuple[datetime, str] | None = None
) -> list[Row[Any]]:
    """The next rows after ``before`` (instant and id), newest first."""
    conditions = (*_conditions(account, wanted), earlier(job, before))
    page = _jobs().where(*conditions).order_by(job.c.created_at.desc(), job.c.id).limit(limit)
    async with hub.database.begin() as connection:
        return list((await connection.execute(page)).all())


def _conditions(account: Account, wanted: JobFilter) -> list[ColumnElement[bool]]:
    conditions = [visible(job, account)]
    if wanted.states:
        conditions.append(job.c.state.in_(wanted.states))
    if wanted.kinds:
        conditions.append(job.c.kind.in_(wanted.kinds))
    if wanted.creator:
        conditions.append(or_(account_table.c.email == wanted.creator, account_table.c.name == wanted.creator))
    if wanted.project_id:
        conditions.append(job.c.project_id == wanted.project_id)
    if wanted.device_name:
        conditions.append(job.c.device_name == wanted.device_name)
    if wanted.model_id:
        conditions.append(job.c.model_id == wanted.model_id)
    if wanted.text:
        conditions.append(or_(containing(job.c.name, wanted.text), containing(job.c.id, wanted.text)))
    return conditions
