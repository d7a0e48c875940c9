"""A client signs in by e-mail address and password, for an API token of its own."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.tables import token
from dynolab.hub.usecases.audit import refusals_noted
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.check_password import check_password
from dynolab.hub.usecases.make_token import TokenTerms, checked_life, insert_token
from dynolab.hub.usecases.revoke_token import tell_revoked

LABEL = "login by password"
UNUSED_MOST = timedelta(days=90)
LOGINS_MOST = 100
"""How many of these tokens an account has at most, and how long one is kept that is not used: whoever signs in again has
no use for the one before, and does not say so."""


async def log_in(hub: Hub, email: str, password: str) -> str:
    """The secret of a new API token. Raises what :func:`check_password` raises."""
    async with refusals_noted(hub, "token.make", who=email, way="password"):
        proven = await check_password(hub, email, password)
    async with hub.database.begin() as connection:
        forgotten = await _forget(connection, proven.account_id)
        terms, life = TokenTerms(made_by="password"), checked_life(hub, None)
        _, secret = await insert_token(
            connection, proven.account_id, "user", LABEL, by_password=True, terms=terms, life=life
        )
    if forgotten:
        hub.signed_in.clear()
    return secret


async def _forget(connection: AsyncConnection, account_id: int) -> bool:
    """Remove the account's tokens of this kind that nobody uses, and the longest unused of too many; whether there were any."""
    used = func.coalesce(token.c.used_at, token.c.created_at)
    mine = token.c.account_id == account_id, token.c.by_password
    surplus = select(token.c.id).where(*mine).order_by(used.desc(), token.c.id).offset(LOGINS_MOST - 1)
    old = or_(used < func.now() - UNUSED_MOST, token.c.id.in_(surplus))
    gone = (await connection.execute(delete(token).where(*mine, old).returning(token.c.id))).scalars().all()
    for token_id in gone:
        await tell_revoked(connection, token_id)
    return bool(gone)
