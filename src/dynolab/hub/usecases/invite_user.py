"""A link that signs a browser in, once."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import func, insert, literal, select

from dynolab.hub.store.tables import account, invitation
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.make_token import SECRET_BYTES
from dynolab.hub.usecases.sign_in import digest

INVITATION_LIFE = timedelta(minutes=15)


async def invite_user(hub: Hub, email: str) -> str | None:
    """The link's secret: who shows it first, within a while, is signed in as that user. None where there is no such user, or the account was closed."""
    secret = secrets.token_urlsafe(SECRET_BYTES)
    columns = ["digest", "account_id", "expires_at"]
    good = account.c.email == email, account.c.closed_at.is_(None)
    values = select(literal(digest(secret)), account.c.id, func.now() + INVITATION_LIFE).where(*good)
    async with hub.database.single() as connection:
        made = await connection.execute(
            insert(invitation).from_select(columns, values).returning(invitation.c.account_id)
        )
        return None if made.one_or_none() is None else secret
