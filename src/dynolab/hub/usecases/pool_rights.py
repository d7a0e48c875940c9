"""Who may do what with a pool of devices: conditions on rows of :data:`dynolab.hub.store.tables.pool`.

A job goes to a pool only where both sides want it: the pool's owner lets the account send jobs, and the account trusts the
owner with its models. Everybody trusts themselves and the administrators, who have the hub's disk anyway.
"""

from __future__ import annotations

from typing import Any, Protocol

from sqlalchemy import ColumnElement, exists, or_, true

from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import pool, pool_grant, trust
from dynolab.hub.usecases.base import Account


class Who(Protocol):
    """An account: an :class:`Account`, or columns of a statement that tell one in each row."""

    @property
    def id(self) -> Any:
        """Its number."""

    @property
    def email(self) -> Any:
        """Its address."""


def owns(account: Account) -> ColumnElement[bool]:
    """Whether the pool is the account's, or it may act for its owner as an administrator."""
    return true() if account.is_admin else pool.c.account_id == account.id


def may_send(who: Who) -> ColumnElement[bool]:
    """Whether the pool's owner lets the account send jobs to it."""
    return or_(pool.c.account_id == who.id, pool.c.is_open, _granted(who, "send"))


def may_join(who: Who) -> ColumnElement[bool]:
    """Whether the account's agents may bring devices into the pool: those get its jobs, and the models of these."""
    return or_(pool.c.account_id == who.id, _granted(who, "join"))


def trusts(who: Who) -> ColumnElement[bool]:
    """Whether the pool's devices may receive the account's models."""
    said = exists().where(trust.c.account_id == who.id, trust.c.owner_id == pool.c.account_id)
    by = accounts.alias("administrator")  # whoever asks may join accounts as well
    admin = exists().where(by.c.id == pool.c.account_id, by.c.is_admin)
    return or_(pool.c.account_id == who.id, admin.correlate_except(by), said.correlate_except(trust))


def sees(account: Account) -> ColumnElement[bool]:
    """Whether the account is told of the pool and its devices at all."""
    return or_(owns(account), may_send(account), may_join(account))


def _granted(who: Who, what: str) -> ColumnElement[bool]:
    mine = pool_grant.c.pool_id == pool.c.id, pool_grant.c.email == who.email, pool_grant.c.what == what
    return exists().where(*mine).correlate_except(pool_grant)
