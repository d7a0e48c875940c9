"""A browser signs in: by a token, a password or a link, once; from then on its cookie stands for that."""

from __future__ import annotations

import secrets
from datetime import datetime, timedelta
from typing import Any, Literal

from sqlalchemy import delete, func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.sql import Select

from dynolab.errors import SpecInvalid, Unauthorized
from dynolab.hub.store.tables import account, invitation, session, token
from dynolab.hub.usecases.audit import note, refusals_noted
from dynolab.hub.usecases.base import Hub, new_id
from dynolab.hub.usecases.check_password import check_password
from dynolab.hub.usecases.make_token import SECRET_BYTES
from dynolab.hub.usecases.sign_in import digest, sign_in

SESSION_LIFE = timedelta(days=30)
SESSIONS_MOST = 100
"""Browsers of one account; of more, the one that was not seen for longest is signed out."""
Way = Literal["token", "password", "link", "oidc"]


async def open_by_token(hub: Hub, secret: str, browser: str) -> str:
    """What the browser keeps. It ends with the token. Raises :class:`Unauthorized`."""
    async with refusals_noted(hub, "session.open", way="token"):
        found = await sign_in(hub, f"token {secret}", kind="user", any_scope=True)
    async with hub.database.begin() as connection:
        good = select(token.c.id).where(token.c.id == found.token_id, token.c.revoked_at.is_(None))
        if not await _still(connection, good):
            raise Unauthorized("the token was revoked", hint="sign in with another")
        return await insert_session(connection, found.id, "token", browser, found.token_id, until=found.expires_at)


async def open_by_password(hub: Hub, email: str, password: str, browser: str) -> str:
    """What the browser keeps. It ends when the password changes. Raises what :func:`check_password` raises."""
    async with refusals_noted(hub, "session.open", who=email, way="password"):
        proven = await check_password(hub, email, password)
    async with hub.database.begin() as connection:
        good = select(account.c.id).where(
            account.c.id == proven.account_id, account.c.password_hash == proven.password_hash
        )
        if not await _still(connection, good):
            raise SpecInvalid("the password was changed just now", hint="use the new one")
        return await insert_session(connection, proven.account_id, "password", browser)


async def open_by_invitation(hub: Hub, secret: str, browser: str) -> str:
    """What the browser keeps; the invitation is gone with that. Raises :class:`Unauthorized`."""
    key = digest(secret)
    good = invitation.c.digest == key, invitation.c.expires_at > func.now()
    async with (
        refusals_noted(hub, "session.open", way="link"),
        hub.sign_in_throttle.counted("secret", key),
        hub.database.begin() as connection,
    ):
        owner = await connection.scalar(delete(invitation).where(*good).returning(invitation.c.account_id))
        if owner is None:
            raise Unauthorized("the link is not valid, or was used, or is too old", hint="sign in with a token")
        return await insert_session(connection, owner, "link", browser)


async def _still(connection: AsyncConnection, good: Select[Any]) -> bool:
    """Whether what was found good is so now; until the transaction ends, nobody changes it."""
    return await connection.scalar(good.with_for_update(read=True)) is not None


async def insert_session(
    connection: AsyncConnection,
    owner: int,
    way: Way,
    browser: str,
    token_id: str | None = None,
    *,
    until: datetime | None = None,
    provider_session: str | None = None,
) -> str:
    """The secret of a new session of the account whose id ``owner`` is; it is over with ``until``, if that comes first.

    ``provider_session``: what the OpenID Connect provider calls its own, with which it ends.
    """
    secret = secrets.token_urlsafe(SECRET_BYTES)
    surplus = select(session.c.id).where(session.c.account_id == owner).order_by(session.c.seen_at.desc(), session.c.id)
    await connection.execute(delete(session).where(session.c.id.in_(surplus.offset(SESSIONS_MOST - 1))))
    values = {"id": new_id("s"), "account_id": owner, "token_id": token_id, "digest": digest(secret)}
    more = {"expires_at": func.least(func.now() + SESSION_LIFE, until), "provider_session": provider_session}
    opened = insert(session).values(**values, **more, way=way, browser=browser)
    await connection.execute(opened)
    await note(
        connection,
        "session.open",
        "session",
        values["id"],
        account_id=owner,
        details={"way": way, "browser": browser, "token": token_id},
    )
    return secret
