"""Who a token belongs to."""

from __future__ import annotations

import asyncio
import hashlib
import time
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from sqlalchemy import bindparam, false, func, or_, select, update

from dynolab.errors import Unauthorized
from dynolab.hub.store.prepared import Prepared
from dynolab.hub.store.tables import account, token
from dynolab.hub.usecases.asking import asking
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, CachedAccount, Hub
from dynolab.hub.usecases.closed import shut_out
from dynolab.hub.usecases.rate_limit import RateLimit
from dynolab.hub.usecases.scopes import check_scope, held

KNOWN_S = 5.0
"""How long a token is taken for known without asking the database: an agent sends some requests for each job."""
KNOWN_MOST = 10_000
ANOTHER = "make another on the page /account/, or with `dynolab hub account token`"
USED_EVERY = timedelta(minutes=5)
"""How often it is written down that a token is used: an agent that works sends something every few seconds."""
_late = RateLimit(1 / USED_EVERY.total_seconds(), 0.0)
"""By token: uses of what is good no more that are written down."""


def digest(secret: str) -> str:
    """What is kept of a token: it has 160 random bits, so a plain hash cannot be guessed backwards."""
    return hashlib.sha256(secret.encode()).hexdigest()


async def sign_in(hub: Hub, authorization: str, *, kind: str, any_scope: bool = False) -> Account:
    """The account that a header ``Authorization: token SECRET`` (or ``Bearer SECRET``) stands for.

    ``kind`` is the door: ``user`` or ``agent``. Raises :class:`Unauthorized`, whatever is wrong with it,
    :class:`RateLimited` where too many tokens of the same address were wrong, and, unless ``any_scope``,
    :class:`Forbidden` where the token is not for such a request. Whom it
    knows it asks the database about again once in a while, and as soon as any token is revoked.
    """
    scheme, _, secret = authorization.strip().partition(" ")
    if scheme.lower() not in ("token", "bearer") or not secret:
        raise Unauthorized("no token was sent", hint="send the header `Authorization: token YOUR_TOKEN`")
    found = await _known(hub, (kind, digest(secret.strip())))
    if (request := asking.get()) is not None:
        request.noted(found.id, found.email, token_id=found.token_id)
        request.token_expires_at, request.token_rotate_after = found.expires_at, found.rotate_after
        if not any_scope:
            check_scope(found.scopes, request.method, request.path)
    return found


async def _known(hub: Hub, key: tuple[str, str]) -> Account:
    now = time.monotonic()
    revision = hub.wakeups.revision
    known = hub.signed_in.get(key)
    if known is not None and known.revision == revision is not None and now - known.at_s < KNOWN_S:
        end = known.account.expires_at
        if end is None or datetime.now(UTC) < end:
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
    found = Account(
        *(row.id, row.email, row.name, row.token_id),
        is_admin=row.is_admin,
        scopes=held(key[0], row.scopes),
        expires_at=row.previous_until if row.is_old else row.expires_at,
        rotate_after=row.rotated_at if row.is_old else rotate_after(row),
        is_replaced=row.is_old,
        project_id=row.project_id,
        is_bound=row.project_id is not None,
    )
    hub.signed_in[key] = CachedAccount(found, now, revision)
    return found


def _forget(hub: Hub, key: tuple[str, str, int], looking: asyncio.Task[Account]) -> None:
    hub.looking_up.pop(key, None)
    if not looking.cancelled():
        looking.exception()  # who asked may have hung up, so that nobody else takes it


def _finding() -> Prepared:
    """The account of a token, good or not, by the ``digest`` of its secret, now or before its rotation, and its ``kind``."""
    unused = or_(token.c.used_at.is_(None), token.c.used_at < func.now() - USED_EVERY).label("unused")
    is_old = (token.c.digest != bindparam("digest")).label("is_old")
    ended = func.coalesce(token.c.expires_at <= func.now(), false()).label("ended")
    replaced = func.coalesce(token.c.previous_until <= func.now(), false()).label("replaced")
    ends = (token.c.expires_at, token.c.created_at, token.c.rotated_at, token.c.previous_until)
    statement = (
        select(
            *(account.c.id, account.c.email, account.c.name, account.c.is_admin, token.c.id.label("token_id")),
            *(token.c.scopes, token.c.project_id, *ends, unused, is_old, ended, replaced),
            *(token.c.revoked_at, account.c.closed_at),
        )
        .join(token, token.c.account_id == account.c.id)
        .where(or_(token.c.digest == bindparam("digest"), token.c.previous_digest == bindparam("digest")))
        .where(token.c.kind == bindparam("kind"))
        .order_by(token.c.revoked_at.desc())  # NULL first: a good one goes before one whose old secret was the same
        .limit(1)
    )
    return Prepared(statement)


_FINDING = _finding()


async def _read(hub: Hub, kind: str, secret_digest: str) -> Any:
    """The account's row; it is noted that the token was used. Raises :class:`Unauthorized`."""
    async with hub.database.single() as connection:
        row = await _FINDING.one_or_none(connection, kind=kind, digest=secret_digest)
        if row is not None and row.unused and _good(row):
            await connection.execute(update(token).where(token.c.id == row.token_id).values(used_at=func.now()))
    if row is None:
        raise Unauthorized(
            "the token is not known here, or is of the other kind: a user's opens no agent's door, nor an agent's a user's",
            hint="`dynolab hub account token` makes a new one, or the page /account/",
        )
    if row.closed_at is not None:
        await _note_late(hub, row, "closed")
        raise shut_out(row.email)
    if row.revoked_at is not None:
        await _note_late(hub, row, "revoked")
        raise Unauthorized(f"the token {row.token_id} was revoked at {row.revoked_at:%Y-%m-%d %H:%M} UTC", hint=ANOTHER)
    if row.ended:
        await _note_late(hub, row, "expired")
        raise Unauthorized(f"the token {row.token_id} expired at {row.expires_at:%Y-%m-%d %H:%M} UTC", hint=ANOTHER)
    if row.is_old and row.replaced:
        await _note_late(hub, row, "rotated")
        raise Unauthorized(
            f"the token {row.token_id} was rotated: this secret was good until {row.previous_until:%Y-%m-%d %H:%M} UTC",
            hint="use the new secret, or make another token on the page /account/",
        )
    return row


def _good(row: Any) -> bool:
    replaced = row.is_old and row.replaced
    return not replaced and not row.ended and row.revoked_at is None and row.closed_at is None


async def would_sign_in(hub: Hub, secret: str) -> bool:
    """Whether a user's token is good now; unlike :func:`sign_in`, that is no use of it."""
    async with hub.database.single() as connection:
        row = await _FINDING.one_or_none(connection, kind="user", digest=digest(secret))
    return row is not None and _good(row)


async def _note_late(hub: Hub, row: Any, why: str) -> None:
    """Note that somebody uses what is good no more, once in a while."""
    if _late.count(row.token_id):
        return
    async with hub.database.begin() as connection:
        told = {"why": why}
        await note(
            *(connection, "token.use", "token", row.token_id),
            account_id=row.id,
            who=row.email,
            outcome="refused",
            details=told,
        )


def rotate_after(row: Any) -> datetime | None:
    """From when on a token should be rotated: two thirds of its life. None: it does not end."""
    if row.expires_at is None:
        return None
    begun: datetime = row.rotated_at or row.created_at
    found: datetime = begun + (row.expires_at - begun) * 2 / 3
    return found
