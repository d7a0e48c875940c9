"""A new token for a user or for an agent."""

from __future__ import annotations

import secrets
from typing import Any

from sqlalchemy import Row, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict, SpecInvalid
from dynolab.hub.store.tables import account, token
from dynolab.hub.usecases.base import Account, Hub, checked_name, new_id
from dynolab.hub.usecases.sign_in import digest
from dynolab.spec.joining import AGENT_PREFIX

PREFIXES = {"user": "dl_", "agent": AGENT_PREFIX}
SECRET_BYTES = 20
TOKENS_MOST = 500
"""Of one account that are good: people make one for each machine."""
SHOWN = (token.c.id, token.c.kind, token.c.label, token.c.created_at, token.c.used_at, token.c.revoked_at)
"""What is told of a token."""


async def make_token(hub: Hub, *, email: str, kind: str, label: str, is_admin: bool = False) -> str:
    """The token's secret, which is shown this once; the account is made, as ``is_admin`` says, when there is none of that address."""
    async with hub.database.begin() as connection:
        await connection.execute(
            upsert(account)
            .values(email=email, name=email.partition("@")[0], is_admin=is_admin)
            .on_conflict_do_nothing()
        )
        owner = (await connection.execute(select(account.c.id).where(account.c.email == email))).scalar_one()
        _, secret = await insert_token(connection, owner, kind, label)
    return secret


async def make_own_token(hub: Hub, owner: Account, *, kind: str, label: str) -> tuple[Row[Any], str]:
    """The token's row, and its secret, which is shown this once. Raises :class:`SpecInvalid`."""
    if kind not in PREFIXES:
        raise SpecInvalid(f"the token kind {kind!r} is not known", hint=f"known: {', '.join(PREFIXES)}")
    async with hub.database.begin() as connection:
        await check_number(connection, owner.id)
        return await insert_token(connection, owner.id, kind, checked_name(label, "token"))


async def check_number(connection: AsyncConnection, owner: int) -> None:
    """Raises :class:`Conflict` where the account has as many tokens as it may have."""
    good = select(func.count()).where(token.c.account_id == owner, token.c.revoked_at.is_(None))
    if int(await connection.scalar(good) or 0) >= TOKENS_MOST:
        raise Conflict(f"the account has {TOKENS_MOST} tokens already", hint="revoke those that nobody uses")


async def insert_token(
    connection: AsyncConnection, owner: int, kind: str, label: str, *, by_password: bool = False
) -> tuple[Row[Any], str]:
    """The row and the secret of a new token of the account whose id ``owner`` is."""
    secret = PREFIXES[kind] + secrets.token_urlsafe(SECRET_BYTES)
    values = {"id": new_id("t"), "account_id": owner, "kind": kind, "digest": digest(secret), "label": label}
    made = insert(token).values(**values, by_password=by_password).returning(*SHOWN)
    return (await connection.execute(made)).one(), secret
