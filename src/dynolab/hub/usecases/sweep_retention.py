"""Retention: what a project, or an account's personal space, keeps for some days only.

Of a job that was over for so long its results go: profile, artifact, logs. The job stays, with its summary, and tells when they went.
Datasets of that age go, but for permanent ones. What is pinned or shared stays, and so do models.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import ColumnElement, Table, delete, exists, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import SpecInvalid
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import attempt, dataset, job, live_log, project, share
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_organisations import project_row
from dynolab.hub.usecases.free_blobs import free_blobs
from dynolab.hub.usecases.policy import Verb
from dynolab.hub.usecases.quotas import LIVE, Owner
from dynolab.hub.usecases.store_file import COLUMNS

BATCH = 100
LOST_MOST = 1000
"""What goes is counted up to here: to say that much is lost needs no more."""
DAYS_MOST = 3650


@dataclass(frozen=True, slots=True)
class Lost:
    """What a retention takes away: jobs whose results go, and datasets; ``LOST_MOST`` is as many or more."""

    jobs: int
    datasets: int


async def lost_with(hub: Hub, account: Account, days: int, *, project_named: str = "") -> Lost:
    """What would go within the hour if things were kept for so many days. Raises what :func:`keep_for` does."""
    check_whole(account)
    _check_days(days)
    async with hub.database.begin() as connection:
        owner, age = Owner(account.id), timedelta(days=days)
        if project_named:
            row = await project_row(connection, account, project_named, Verb.MANAGE)
            owner = Owner(account.id, row.id)
        counts = []
        for table, old in ((job, _old_jobs(owner, age)), (dataset, _old_datasets(owner, age))):
            some = select(table.c.id).where(*old).limit(LOST_MOST).subquery()
            counts.append(int(await connection.scalar(select(func.count()).select_from(some)) or 0))
    return Lost(*counts)


async def keep_for(hub: Hub, account: Account, days: int | None, *, project_named: str = "") -> None:
    """Keep for so many days from now on (None: until it is deleted), in the account's personal space or in a project.

    Raises :class:`NotFound` and :class:`Forbidden` for a project, and :class:`SpecInvalid` for a number that is none of days.
    """
    check_whole(account)
    _check_days(days)
    async with hub.database.begin() as connection:
        if not project_named:
            await connection.execute(update(accounts).where(accounts.c.id == account.id).values(kept_days=days))
            await note(connection, "retention.change", "account", account.id, details={"days": days or "for ever"})
            return
        row = await project_row(connection, account, project_named, Verb.MANAGE)
        await connection.execute(update(project).where(project.c.id == row.id).values(kept_days=days))
        await note(connection, "retention.change", "project", row.id, details={"days": days or "for ever"})


def _check_days(days: int | None) -> None:
    if days is not None and not 1 <= days <= DAYS_MOST:
        raise SpecInvalid(
            f"{days} days: 1 to {DAYS_MOST} are taken", hint="leave it empty to keep all until it is deleted"
        )


async def sweep_retention(hub: Hub) -> None:
    """One round. Several replicas may do it at once: what one has in hand, the others pass over."""
    async with hub.database.begin() as connection:
        of_accounts = select(accounts.c.id, accounts.c.kept_days).where(accounts.c.kept_days.is_not(None))
        of_projects = select(project.c.id, project.c.kept_days).where(project.c.kept_days.is_not(None))
        kept = [(Owner(row.id), row.kept_days) for row in (await connection.execute(of_accounts)).all()]
        kept += [(Owner(0, row.id), row.kept_days) for row in (await connection.execute(of_projects)).all()]
    for owner, days in kept:
        await _jobs(hub, owner, timedelta(days=days))
        await _datasets(hub, owner, timedelta(days=days))


def _shared(table: Table) -> ColumnElement[bool]:
    return exists().where(share.c.target_id == table.c.id)


def _old_jobs(owner: Owner, age: timedelta) -> list[ColumnElement[bool]]:
    before = func.now() - age
    old = job.c.created_at < before, job.c.finished_at < before, job.c.state.not_in(LIVE), job.c.cleared_at.is_(None)
    return [owner.of(job), *old, ~job.c.is_pinned, ~_shared(job)]


async def _jobs(hub: Hub, owner: Owner, age: timedelta) -> None:
    chosen = select(job.c.id, job.c.result_blob_id, job.c.artifact_blob_id).where(*_old_jobs(owner, age))
    locked = chosen.order_by(job.c.created_at, job.c.id).limit(BATCH).with_for_update(of=job, skip_locked=True)
    while True:
        async with hub.database.begin() as connection:
            rows = (await connection.execute(locked)).all()
            left = await _cleared(connection, [row.id for row in rows])
        blobs = {one for row in rows for one in (row.result_blob_id, row.artifact_blob_id)} | left
        await free_blobs(hub, [one for one in blobs if one is not None])
        if len(rows) < BATCH:
            return


async def _cleared(connection: AsyncConnection, ids: list[str]) -> set[str | None]:
    """What the jobs' attempts had left; outputs, which are datasets and models of their own, stay."""
    gone = [column for verb, column in COLUMNS.items() if verb != "output"]
    of = attempt.c.job_id.in_(ids)
    found: set[str | None] = {one for row in await connection.execute(select(*gone).where(of)) for one in row}
    nothing: dict[Any, Any] = dict.fromkeys(gone)
    await connection.execute(update(attempt).where(of).values(nothing))
    attempts = select(attempt.c.id).where(of)
    await connection.execute(delete(live_log).where(live_log.c.attempt_id.in_(attempts)))
    values = {"result_blob_id": None, "artifact_blob_id": None, "cleared_at": func.now()}
    await connection.execute(update(job).where(job.c.id.in_(ids)).values(values))
    return found


def _old_datasets(owner: Owner, age: timedelta) -> list[ColumnElement[bool]]:
    old = dataset.c.created_at < func.now() - age, dataset.c.expires_at > func.now(), dataset.c.deleted_at.is_(None)
    pinned = exists().where(
        job.c.is_pinned, (job.c.dataset_id == dataset.c.id) | (job.c.output_dataset_id == dataset.c.id)
    )
    return [owner.of(dataset), *old, ~_shared(dataset), ~pinned]


async def _datasets(hub: Hub, owner: Owner, age: timedelta) -> None:
    """They are past their end from now on: the sweep of files takes those away, once no job that is not over uses them."""
    async with hub.database.begin() as connection:
        ended = update(dataset).where(*_old_datasets(owner, age)).values(expires_at=func.now())
        await connection.execute(ended)
