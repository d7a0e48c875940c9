"""Jobs that wait for, or run on, what they may not have any more: a model that is not shared any longer, a pool that is closed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Table, and_, any_, exists, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Forbidden
from dynolab.hub.store.tables import account, dataset, job, model, pool, project, share
from dynolab.hub.usecases.access import array_of, projects_of
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.end_attempt import fail_job, lose_attempts
from dynolab.hub.usecases.pool_rights import may_send, trusts

LIVE = ("queued", "preparing", "running")


async def withdraw_jobs(hub: Hub, connection: AsyncConnection, about: ColumnElement[bool]) -> None:
    """Fail those of the jobs ``about`` that are not over and whose owners lack access to model, data or pool as things stand now.

    Part of the transaction that took the access away. Attempts that run end with it: nothing more is given to them or taken.
    """
    reasons = (
        (
            or_(
                *(_gone(model, one) for one in (job.c.model_id, job.c.baseline_id)),
                *(_one_gone(model, several) for several in (job.c.linked_ids, job.c.source_ids)),
            ),
            Forbidden("the job was withdrawn: its model is not shared any more, or was deleted"),
        ),
        (
            _gone(dataset, job.c.dataset_id),
            Forbidden("the job was withdrawn: its dataset is not shared any more, or was deleted"),
        ),
        (
            _refused(may_send(_OWNER)),
            Forbidden("the job was withdrawn: the device does not take its owner's jobs any more"),
        ),
        (
            _refused(trusts(_OWNER)),
            Forbidden("the job was withdrawn: the device may not receive its owner's models any more"),
        ),
    )
    for lost, error in reasons:
        waiting = select(job.c.id).where(about, job.c.state.in_(LIVE), lost).order_by(job.c.created_at, job.c.id)
        for job_id in (await connection.execute(waiting.with_for_update(of=job))).scalars().all():
            await lose_attempts(hub, connection, job_id)
            await fail_job(hub, connection, job_id, error)


_PROJECT = project.alias()


@dataclass(frozen=True, slots=True)
class _JobsOwner:
    """Who may have what a job needs: the account that the job's row names."""

    id: ColumnElement[int]
    email: ColumnElement[str]
    organisations: ColumnElement[Any]


_OWNER = _JobsOwner(
    job.c.account_id,
    select(account.c.email).where(account.c.id == job.c.account_id).correlate(job).scalar_subquery(),
    array_of(select(_PROJECT.c.organisation_id).where(_PROJECT.c.id == job.c.in_project).correlate(job)),
)


def _gone(table: Table, used: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the job uses something of the table that its owner may not see."""
    return and_(used.is_not(None), ~exists().where(table.c.id == used, _seen(table)).correlate_except(table))


def _one_gone(table: Table, used: ColumnElement[Any]) -> ColumnElement[bool]:
    """Likewise for one of several."""
    there = select(func.count()).where(table.c.id == any_(used), _seen(table)).correlate_except(table).scalar_subquery()
    return and_(used.is_not(None), there < func.cardinality(used))


def _seen(table: Table) -> ColumnElement[bool]:
    """Whether a row is there, and the job's owner may see it."""
    shared = exists().where(share.c.target_id == table.c.id, share.c.email == _OWNER.email).correlate_except(share)
    own = and_(table.c.account_id == _OWNER.id, table.c.in_project.is_(None))
    same = table.c.in_project == job.c.in_project  # also where the job's owner has left the project since
    theirs = table.c.in_project == any_(array_of(projects_of(_OWNER).correlate(job)))
    return and_(table.c.deleted_at.is_(None), or_(own, same, theirs, shared))


def _refused(allowed: ColumnElement[bool]) -> ColumnElement[bool]:
    """Whether the job waits for a pool that does not fit a condition on pools."""
    fits = exists().where(pool.c.id == job.c.pool_id, allowed).correlate_except(pool)
    return and_(job.c.pool_id.is_not(None), ~fits)
