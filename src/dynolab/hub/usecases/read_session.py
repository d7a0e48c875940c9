"""Whose browser it is that asks for a page."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import func, select, update

from dynolab.errors import Unauthorized
from dynolab.hub.store.tables import account, session, token
from dynolab.hub.usecases.asking import asking
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.scopes import ALL, check_scope, held
from dynolab.hub.usecases.sign_in import digest

SEEN_EVERY = timedelta(minutes=5)
"""How often it is written down that a browser was here: a page that is open asks every second."""


async def read_session(hub: Hub, secret: str, *, any_scope: bool = False) -> Account:
    """Whose cookie it is. Raises :class:`Unauthorized` for one that is forged, too old, or was ended.

    Unless ``any_scope``, raises :class:`Forbidden` where the token that it was opened by is not for such a request.
    """
    key = digest(secret)
    async with hub.sign_in_throttle.counted("secret", key):
        found = await _read(hub, key)
    if (request := asking.get()) is not None:
        request.noted(found.id, found.email, token_id=found.token_id, session_id=found.session_id)
        if not any_scope:
            check_scope(found.scopes, request.method, request.path)
    return found


async def _read(hub: Hub, key: str) -> Account:
    unseen = (session.c.seen_at < func.now() - SEEN_EVERY).label("unseen")
    found = (
        select(
            *(account.c.id, account.c.email, account.c.name, account.c.is_admin),
            *(session.c.id.label("session_id"), session.c.token_id, unseen, token.c.scopes),
        )
        .join(session, session.c.account_id == account.c.id)
        .outerjoin(token, token.c.id == session.c.token_id)
        .where(session.c.digest == key, session.c.expires_at > func.now())
    )
    async with hub.database.single() as connection:
        row = (await connection.execute(found)).one_or_none()
        if row is not None and row.unseen:
            seen = update(session).where(session.c.id == row.session_id).values(seen_at=func.now())
            await connection.execute(seen)
    if row is None:
        raise Unauthorized("this browser is not signed in, or not any more", hint="sign in again")
    scopes = ALL if row.token_id is None else held("user", row.scopes)
    return Account(row.id, row.email, row.name, row.token_id or "", row.session_id, row.is_admin, scopes)
