"""Who may do what with a pool of devices: conditions on rows of :data:`dynolab.hub.store.tables.pool`.

A job goes to a pool only where both sides want it: the pool's owner lets the account send jobs, and the account trusts the
owner with its models. Everybody trusts themselves and the administrators, who have the hub's disk anyway. A pool of an
organisation takes the jobs of that organisation's projects, and is trusted with their models.
"""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import ColumnElement, any_, exists, false, func, or_, true

from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import pool, pool_grant, trust
from dynolab.hub.usecases.access import Given, array_of, organisations_run_by
from dynolab.hub.usecases.access import Who as Member


class Who(Member, Protocol):
    """Who sends jobs: an account, or a part of a statement that tells one in each row."""

    @property
    def organisations(self) -> ColumnElement[Any]:
        """An array of the ids of the organisations whose job it is, or may be."""


class Sends(Protocol):
    """Who sends jobs, as prepared statements are made for it: an account, or who sends from one project alone."""

    @property
    def id(self) -> int:
        """Its account's number."""

    @property
    def given(self) -> Given:
        """Who stands for it in such a statement."""

    @property
    def told(self) -> dict[str, object]:
        """What the statement is told of it with each call."""


class Rights(Who, Protocol):
    """Who looks at pools: an account, or who stands for one in a prepared statement."""

    @property
    def is_bound(self) -> bool:
        """Whether the token is bound to a project."""

    @property
    def is_admin(self) -> bool:
        """Whether it runs the hub."""


def owns(account: Rights) -> ColumnElement[bool]:
    """Whether the pool is the account's, or it may act for its owner as an administrator, of the hub or of the pool's organisation."""
    if account.is_bound:
        return false()
    return true() if account.is_admin else or_(pool.c.account_id == account.id, _runs(account))


def may_send(who: Who) -> ColumnElement[bool]:
    """Whether the pool's owner lets the account send jobs to it."""
    return or_(pool.c.account_id == who.id, pool.c.is_open, _granted(who, "send"), _of_organisation(who))


def may_join(who: Member) -> ColumnElement[bool]:
    """Whether the account's agents may bring devices into the pool: those get its jobs, and the models of these."""
    return or_(pool.c.account_id == who.id, _granted(who, "join"), _runs(who))


def trusts(who: Who) -> ColumnElement[bool]:
    """Whether the pool's devices may receive the account's models."""
    said = exists().where(trust.c.account_id == who.id, trust.c.owner_id == pool.c.account_id)
    by = accounts.alias("administrator")  # whoever asks may join accounts as well
    admin = exists().where(by.c.id == pool.c.account_id, by.c.is_admin)
    theirs = pool.c.account_id == who.id, admin.correlate_except(by), said.correlate_except(trust)
    return or_(*theirs, _of_organisation(who))


def sees(account: Rights) -> ColumnElement[bool]:
    """Whether the account is told of the pool and its devices at all."""
    return or_(owns(account), may_send(account), may_join(account))


def _of_organisation(who: Who) -> ColumnElement[bool]:
    """Whether the job is, or may be, of a project of the organisation that the pool belongs to."""
    return func.coalesce(pool.c.organisation_id == any_(who.organisations), false())


def _runs(who: Member) -> ColumnElement[bool]:
    """Whether the account manages the organisation that the pool belongs to."""
    return func.coalesce(pool.c.organisation_id == any_(array_of(organisations_run_by(who))), false())


def _granted(who: Member, what: str) -> ColumnElement[bool]:
    mine = pool_grant.c.pool_id == pool.c.id, pool_grant.c.email == who.email, pool_grant.c.what == what
    return exists().where(*mine).correlate_except(pool_grant)
