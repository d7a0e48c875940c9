"""Pools of devices, with who may use them; and whose pools may receive an account's models."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from sqlalchemy import Integer, Text, any_, bindparam, not_, select
from sqlalchemy.dialects.postgresql import ARRAY

from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import organisation, pool, pool_grant, trust
from dynolab.hub.usecases.access import Given
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
    seeing = _seeing(account.given_with_rights, bool(name), untrusted_most is not None)
    async with hub.database.begin() as connection:
        rows = await seeing.all(connection, name=name, most=untrusted_most, **account.told)
        own = [row.id for row in rows if row.own]
        grants = await _GRANTS.all(connection, own=own) if own else []
    granted: dict[tuple[str, str], list[str]] = {}
    for one in grants:
        granted.setdefault((one.pool_id, one.what), []).append(one.email)

    def to(pool_id: str, what: str) -> tuple[str, ...]:
        return tuple(granted.get((pool_id, what), ()))

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


@cache
def _seeing(who: Given, of_a_name: bool, untrusted: bool) -> Prepared:
    rights = owns(who).label("own"), may_send(who).label("send"), may_join(who).label("join")
    found = select(
        pool, accounts.c.email, organisation.c.name.label("organisation"), *rights, trusts(who).label("trusted")
    )
    found = found.join(accounts, accounts.c.id == pool.c.account_id).outerjoin(organisation).where(sees(who))
    if of_a_name:
        found = found.where(pool.c.name == bindparam("name"))
    if untrusted:
        found = found.where(may_send(who), not_(trusts(who))).limit(bindparam("most", type_=Integer))
    return Prepared(found.order_by(pool.c.name, accounts.c.email))


_GRANTS = Prepared(
    select(pool_grant)
    .where(pool_grant.c.pool_id == any_(bindparam("own", type_=ARRAY(Text))))
    .order_by(pool_grant.c.email)
)


async def find_trusted(hub: Hub, account: Account) -> list[TrustedOwner]:
    """Whose pools may receive the account's models, besides its own: those it named and the administrators."""
    named = select(trust.c.owner_id).where(trust.c.account_id == account.id)
    found = select(accounts.c.email, accounts.c.is_admin).where(accounts.c.id != account.id)
    found = found.where(accounts.c.id.in_(named) | accounts.c.is_admin).order_by(accounts.c.email)
    async with hub.database.begin() as connection:
        return [TrustedOwner(row.email, row.is_admin) for row in await connection.execute(found)]
