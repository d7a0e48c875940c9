"""Who a token belongs to."""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import timedelta
from functools import partial
from typing import Any

from sqlalchemy import Row, func, or_, select, update

from dynolab.errors import Unauthorized
from dynolab.hub.store.tables import account, token
from dynolab.hub.usecases.base import Account, CachedAccount, Hub

KNOWN_S = 5.0
"""How long a token is taken for known without asking the database: an agent sends some requests for each job."""
KNOWN_MOST = 10_000
USED_EVERY = timedelta(minutes=5)
"""How often it is written down that a token is used: an agent that works sends something every few seconds."""


def digest(secret: str) -> str:
    """What is kept of a token: it has 160 random bits, so a plain hash cannot be guessed backwards."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def sign_in(hub: Hub, authorization: str, *, kind: str) -> Account:
    """The account that a header ``Authorization: token SECRET`` (or ``Bearer SECRET``) stands for.

    ``kind`` is the door: ``user`` or ``agent``. Raises :class:`Unauthorized`, whatever is wrong with it, and
    :class:`RateLimited` where too many tokens of the same address were wrong. Whom it
    knows it asks the database about again once in a while, and as soon as any token is revoked.
    """
    scheme, _, secret = authorization.strip().partition(" ")
    if scheme.lower() not in ("token", "bearer") or not secret:
        raise Unauthorized("no token was sent", hint="send the header `Authorization: token YOUR_TOKEN`")
    key, now = (kind, digest(secret.strip())), time.monotonic()
    revision = hub.wakeups.revision
    known = hub.signed_in.get(key)
    if known is not None and known.revision == revision is not None and now - known.at_s < KNOWN_S:
        return known.account
    if revision is None:  # a revocation would not be heard, so nobody is answered by what was asked for somebody else
        return await _look_up(hub, key, None)
    looking = hub.looking_up.get((*key, revision))
    if looking is None:  # one question, however many requests with the token come at once
        looking = hub.looking_up[*key, revision] = asyncio.create_task(_look_up(hub, key, revision))
        looking.add_done_callback(partial(_forget, hub, (*key, revision)))
    return await asyncio.shield(looking)


async def _look_up(hub: Hub, key: tuple[str, str], revision: int | None) -> Account:
    now = time.monotonic()
    async with hub.sign_in_throttle.counted("secret", key[1]):
        row = await _read(hub, *key)
    if len(hub.signed_in) > KNOWN_MOST:
        hub.signed_in.clear()
    found = Account(row.id, row.email, row.name, row.token_id, is_admin=row.is_admin)
    hub.signed_in[key] = CachedAccount(found, now, revision)
    return found


def _forget(hub: Hub, key: tuple[str, str, int], looking: asyncio.Task[Account]) -> None:
    hub.looking_up.pop(key, None)
    if not looking.cancelled():
        looking.exception()  # who asked may have hung up, so that nobody else takes it


async def _read(hub: Hub, kind: str, secret_digest: str) -> Row[Any]:
    """The account's row; it is noted that the token was used. Raises :class:`Unauthorized`."""
    unused = or_(token.c.used_at.is_(None), token.c.used_at < func.now() - USED_EVERY).label("unused")
    statement = (
        select(account.c.id, account.c.email, account.c.name, account.c.is_admin, token.c.id.label("token_id"), unused)
        .join(token, token.c.account_id == account.c.id)
        .where(token.c.digest == secret_digest, token.c.kind == kind, token.c.revoked_at.is_(None))
    )
    async with hub.database.single() as connection:
        row = (await connection.execute(statement)).one_or_none()
        if row is not None and row.unused:
            await connection.execute(update(token).where(token.c.id == row.token_id).values(used_at=func.now()))
    if row is None:
        raise Unauthorized(
            "the token is not known here, or is of the other kind: a user's opens no agent's door, nor an agent's a user's",
            hint="`dynolab hub account token` makes a new one, or the page /account/",
        )
    return row
