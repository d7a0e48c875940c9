"""Jobs that wait for what they may not have any more: a model that is not shared any longer, a pool that is closed to them."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ColumnElement, Table, and_, exists, not_, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Forbidden
from dynolab.hub.store.tables import account, dataset, job, model, pool, pool_grant, share, trust
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.end_attempt import fail_job


async def withdraw_jobs(hub: Hub, connection: AsyncConnection, about: ColumnElement[bool]) -> None:
    """Fail those of the queued jobs ``about`` whose owners lack access to model, data or pool as things stand now.

    Part of the transaction that took the access away. What runs by then has had it, and goes on.
    """
    reasons = (
        (
            _gone(model, job.c.model_id),
            Forbidden("the job was withdrawn: its model is not shared any more, or was deleted"),
        ),
        (
            _gone(dataset, job.c.dataset_id),
            Forbidden("the job was withdrawn: its dataset is not shared any more, or was deleted"),
        ),
        (not_(_may_send()), Forbidden("the job was withdrawn: the device does not take its owner's jobs any more")),
        (not_(_trusts()), Forbidden("the job was withdrawn: the device may not receive its owner's models any more")),
    )
    for lost, error in reasons:
        waiting = select(job.c.id).where(about, job.c.state == "queued", lost).order_by(job.c.created_at, job.c.id)
        for job_id in (await connection.execute(waiting.with_for_update(of=job))).scalars().all():
            await fail_job(hub, connection, job_id, error)


def _email() -> Any:
    return select(account.c.email).where(account.c.id == job.c.account_id).correlate(job).scalar_subquery()


def _gone(table: Table, used: ColumnElement[Any]) -> ColumnElement[bool]:
    """Whether the job uses something of the table that its owner may not see."""
    shared = exists().where(share.c.target_id == table.c.id, share.c.email == _email()).correlate(table, job)
    seen = or_(table.c.account_id == job.c.account_id, shared)
    there = exists().where(table.c.id == used, table.c.deleted_at.is_(None), seen).correlate(job)
    return and_(used.is_not(None), ~there)


def _may_send() -> ColumnElement[bool]:
    mine = pool_grant.c.pool_id == pool.c.id, pool_grant.c.email == _email(), pool_grant.c.what == "send"
    granted = exists().where(*mine).correlate(pool, job)
    return _in_pool(or_(pool.c.account_id == job.c.account_id, pool.c.is_open, granted))


def _trusts() -> ColumnElement[bool]:
    mine = trust.c.account_id == job.c.account_id, trust.c.owner_id == pool.c.account_id
    said = exists().where(*mine).correlate(pool, job)
    admin = exists().where(account.c.id == pool.c.account_id, account.c.is_admin).correlate(pool)
    return _in_pool(or_(pool.c.account_id == job.c.account_id, admin, said))


def _in_pool(allowed: ColumnElement[bool]) -> ColumnElement[bool]:
    return or_(job.c.pool_id.is_(None), exists().where(pool.c.id == job.c.pool_id, allowed).correlate(job))
