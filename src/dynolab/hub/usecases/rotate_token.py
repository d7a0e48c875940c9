"""A token gets another secret; the one before is good for a while, so that nobody who uses it is cut off."""

from __future__ import annotations

import re
import secrets
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, func, or_, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict, NotFound, SpecInvalid
from dynolab.hub.store.tables import token
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.make_token import PREFIXES, SECRET_BYTES, SHOWN, checked_life
from dynolab.hub.usecases.revoke_token import tell_revoked
from dynolab.hub.usecases.sign_in import digest

DIGEST = re.compile(r"[0-9a-f]{64}")


async def rotate_token(
    hub: Hub, account: Account, token_id: str, *, overlap_s: float | None = None, days: float | None = None
) -> tuple[Row[Any], str]:
    """The token's row, and its new secret, which is shown this once. It stays the same token: what was opened with it stays.

    ``overlap_s``: how long the old secret is good, None: as the hub is set up; ``days``: the new secret's life, None: as long as
    the old one's was. Raises :class:`NotFound`, :class:`Conflict` for one that was revoked or expired, or was asked for with a
    secret that was replaced already, and :class:`SpecInvalid`.
    """
    if token_id != account.token_id:
        check_whole(account)
    overlap = _overlap(hub, overlap_s)
    async with hub.database.begin() as connection:
        row = await _good(connection, account, token_id)
        if account.is_replaced and account.token_id == token_id:
            raise Conflict(f"the token {token_id} was rotated already", hint="use the new secret")
        secret = PREFIXES[row.kind] + secrets.token_urlsafe(SECRET_BYTES)
        made = await _rotate(hub, connection, row, digest(secret), overlap=overlap, days=days)
    hub.signed_in.clear()
    return made, secret


async def rotate_agent_token(hub: Hub, agent: Account, new_digest: str) -> datetime | None:
    """An agent's own token, whose new secret it made itself and tells the digest of; when that is good no more.

    Asked again in the same words it is answered alike: the answer may have been lost. Raises what :func:`rotate_token` raises.
    """
    if not DIGEST.fullmatch(new_digest):
        raise SpecInvalid(f"the token's digest {new_digest[:100]!r} is no SHA-256 in hexadecimal")
    async with hub.database.begin() as connection:
        row = await _good(connection, agent, agent.token_id)
        if row.digest == new_digest:
            end: datetime | None = row.expires_at
            return end
        if agent.is_replaced:
            raise Conflict(f"the token {agent.token_id} was rotated already", hint="use the new secret")
        taken = select(token.c.id).where(or_(token.c.digest == new_digest, token.c.previous_digest == new_digest))
        if await connection.scalar(taken) is not None:
            raise SpecInvalid("the machine's token is in use", hint="let it make another one")
        made = await _rotate(hub, connection, row, new_digest, overlap=hub.limits.token_overlap, days=None)
    hub.signed_in.clear()
    until: datetime | None = made.expires_at
    return until


def _overlap(hub: Hub, asked_s: float | None) -> timedelta:
    most = hub.limits.token_overlap
    if asked_s is None:
        return most
    if not 0 <= asked_s <= most.total_seconds():
        raise SpecInvalid(
            f"an old secret is not good for {asked_s:g} s beside the new one",
            hint=f"0 to {most.total_seconds():g}, which whoever runs the hub has set",
        )
    return timedelta(seconds=asked_s)


async def _good(connection: AsyncConnection, account: Account, token_id: str) -> Row[Any]:
    """The token's row, locked."""
    mine = select(token, func.now().label("now")).where(token.c.id == token_id, token.c.account_id == account.id)
    row = (await connection.execute(mine.with_for_update())).one_or_none()
    if row is None:
        raise NotFound(f"there is no token {token_id!r}", hint="`GET tokens` lists yours")
    if row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= row.now):
        raise Conflict(f"the token {token_id} is not good any more", hint="make another one")
    return row


async def _rotate(
    hub: Hub, connection: AsyncConnection, row: Row[Any], new_digest: str, *, overlap: timedelta, days: float | None
) -> Row[Any]:
    life = _life(hub, row) if days is None else checked_life(hub, days)
    until = row.now + overlap if row.expires_at is None else min(row.now + overlap, row.expires_at)
    values = {
        "digest": new_digest,
        "previous_digest": row.digest,
        "previous_until": until,
        "rotated_at": row.now,
        "expires_at": None if life is None else row.now + life,
    }
    changed = update(token).where(token.c.id == row.id).values(values).returning(*SHOWN)
    made = (await connection.execute(changed)).one()
    told = {"of": row.kind, "expires_at": made.expires_at, "previous_until": until}
    await note(connection, "token.rotate", "token", row.id, details=told)
    await tell_revoked(connection, row.id)  # replicas that know the old secret ask again how long it is good
    return made


def _life(hub: Hub, row: Row[Any]) -> timedelta | None:
    """As long as the old secret was good for, within what the hub allows now."""
    most = hub.limits.token_life_max
    if row.expires_at is None:
        return most
    life: timedelta = row.expires_at - (row.rotated_at or row.created_at)
    return life if most is None else min(life, most)
