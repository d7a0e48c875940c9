"""A new token for a user or for an agent."""

from __future__ import annotations

import secrets

from sqlalchemy import insert, select
from sqlalchemy.dialects.postgresql import insert as upsert

from dynolab.hub.store.tables import account, token
from dynolab.hub.usecases.base import Hub, new_id
from dynolab.hub.usecases.sign_in import digest

PREFIXES = {"user": "dl_", "agent": "dla_"}


async def make_token(hub: Hub, *, email: str, kind: str, label: str) -> str:
    """The token's secret, which is shown this once; the account is made when there is none of that address."""
    secret = PREFIXES[kind] + secrets.token_urlsafe(20)
    async with hub.database.begin() as connection:
        await connection.execute(
            upsert(account).values(email=email, name=email.partition("@")[0]).on_conflict_do_nothing()
        )
        owner = await connection.scalar(select(account.c.id).where(account.c.email == email))
        values = {"id": new_id("t"), "account_id": owner, "kind": kind, "digest": digest(secret), "label": label}
        await connection.execute(insert(token).values(values))
    return secret
