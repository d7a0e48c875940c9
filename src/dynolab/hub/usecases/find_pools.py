"""Pools of devices, with who may use them; and whose pools may receive an account's models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from sqlalchemy import Select, not_, select

from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import organisation, pool, pool_grant, trust
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.pool_rights import may_join, may_send, owns, sees, trusts


@dataclass(frozen=True, slots=True)
class Pool:
    """The devices of one name that one account, ``owner`` (its address), answers for, as another account sees it.

    ``senders`` and ``joiners`` are who was granted to send jobs or to bring devices: empty for who may not change it.
    """

    id: str
    name: str
    owner: str
    organisation: str | None
    """The name of the one that it belongs to."""
    is_open: bool
    is_own: bool
    """Whether who asks may change it."""
    may_send: bool
    may_join: bool
    trusted: bool
    """Whether its devices may receive the models of who asks."""
    senders: tuple[str, ...]
    joiners: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class TrustedOwner:
    """Somebody whose devices may receive an account's models; ``is_admin``: always."""

    email: str
    is_admin: bool


async def find_pools(hub: Hub, account: Account, *, name: str = "", untrusted_most: int | None = None) -> list[Pool]:
    """Those that the account is told of, by name and owner; ``name``: of that name only.

    ``untrusted_most``: so many of those alone that would take its jobs and may not receive its models.
    """
    found = _seen(account)
    if name:
        found = found.where(pool.c.name == name)
    if untrusted_most is not None:
        found = found.where(may_send(account), not_(trusts(account))).limit(untrusted_most)
    async with hub.database.begin() as connection:
        rows = (await connection.execute(found.order_by(pool.c.name, accounts.c.email))).all()
        own = [row.id for row in rows if row.own]
        granted = select(pool_grant).where(pool_grant.c.pool_id.in_(own)).order_by(pool_grant.c.email)
        grants = (await connection.execute(granted)).all()

    def to(pool_id: str, what: str) -> tuple[str, ...]:
        return tuple(one.email for one in grants if (one.pool_id, one.what) == (pool_id, what))

    return [
        Pool(
            id=row.id,
            name=row.name,
            owner=row.email,
            organisation=row.organisation,
            is_open=row.is_open,
            is_own=row.own,
            may_send=row.send,
            may_join=row.join,
            trusted=row.trusted,
            senders=to(row.id, "send"),
            joiners=to(row.id, "join"),
        )
        for row in rows
    ]


@lru_cache(maxsize=64)
def _seen(account: Account) -> Select[Any]:
    """Those that it is told of. Kept: to build it takes a few milliseconds."""
    rights = owns(account).label("own"), may_send(account).label("send"), may_join(account).label("join")
    found = select(
        pool, accounts.c.email, organisation.c.name.label("organisation"), *rights, trusts(account).label("trusted")
    )
    return found.join(accounts, accounts.c.id == pool.c.account_id).outerjoin(organisation).where(sees(account))


async def find_trusted(hub: Hub, account: Account) -> list[TrustedOwner]:
    """Whose pools may receive the account's models, besides its own: those it named and the administrators."""
    named = select(trust.c.owner_id).where(trust.c.account_id == account.id)
    found = select(accounts.c.email, accounts.c.is_admin).where(accounts.c.id != account.id)
    found = found.where(accounts.c.id.in_(named) | accounts.c.is_admin).order_by(accounts.c.email)
    async with hub.database.begin() as connection:
        return [TrustedOwner(row.email, row.is_admin) for row in await connection.execute(found)]
