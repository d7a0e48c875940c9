"""A browser signs in: a token once, then a cookie that stands for it."""

from __future__ import annotations

from sqlalchemy import select

from dynolab.errors import Unauthorized
from dynolab.hub.store.links import Link
from dynolab.hub.store.tables import account, token
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.sign_in import sign_in

SESSION_LIFE_S = 30 * 24 * 3600
INVITATION_LIFE_S = 15 * 60


async def open_session(hub: Hub, secret: str) -> str:
    """What the browser keeps: signed, worth as much as the token while that is not revoked. Raises :class:`Unauthorized`."""
    found = await sign_in(hub, f"token {secret}", kind="user")
    return hub.links.sign(Link("session", found.token_id))


async def read_session(hub: Hub, session: str) -> Account:
    """Whose session it is. Raises :class:`Unauthorized` for one that is forged, too old, or whose token is revoked."""
    return await _owner(hub, session, "session", SESSION_LIFE_S)


def invite(hub: Hub, token_id: str) -> str:
    """What opens a session of that token for a short while, for a link that a person clicks."""
    return hub.links.sign(Link("invitation", token_id))


async def invite_user(hub: Hub, email: str) -> str | None:
    """An invitation for the newest token of that user; None where none is left."""
    good = token.c.kind == "user", token.c.revoked_at.is_(None), account.c.email == email
    newest = select(token.c.id).join(account, account.c.id == token.c.account_id).where(*good)
    async with hub.database.single() as connection:
        token_id = await connection.scalar(newest.order_by(token.c.created_at.desc(), token.c.id).limit(1))
    return None if token_id is None else invite(hub, token_id)


async def accept_invitation(hub: Hub, invitation: str) -> str:
    """A session. Raises :class:`Unauthorized` when the invitation is forged or too old."""
    found = await _owner(hub, invitation, "invitation", INVITATION_LIFE_S)
    return hub.links.sign(Link("session", found.token_id))


async def _owner(hub: Hub, signed: str, verb: str, life_s: float) -> Account:
    link = hub.links.read(signed, verb, life_s=life_s)
    if link is None:
        raise Unauthorized(f"the {verb} is not valid, or not any more", hint="sign in again")
    statement = (
        select(account.c.id, account.c.email, account.c.name, token.c.id.label("token_id"))
        .join(token, token.c.account_id == account.c.id)
        .where(token.c.id == link.target, token.c.kind == "user", token.c.revoked_at.is_(None))
    )
    async with hub.database.single() as connection:
        row = (await connection.execute(statement)).one_or_none()
    if row is None:
        raise Unauthorized(f"the token of this {verb} was revoked", hint="sign in again")
    return Account(row.id, row.email, row.name, row.token_id)
