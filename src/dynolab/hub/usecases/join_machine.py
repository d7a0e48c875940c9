"""A machine shows a join token and is an agent of the account from then on."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, func, select, update
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict, Forbidden, SpecInvalid, Unauthorized
from dynolab.hub.store.tables import account, device, join_token, token
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Hub, checked_name, new_id
from dynolab.hub.usecases.check_protocol import check_protocol
from dynolab.hub.usecases.make_token import check_number, checked_life
from dynolab.hub.usecases.scopes import AGENT
from dynolab.hub.usecases.sign_in import digest
from dynolab.spec.joining import AgentAccount, JoinRequest

DIGEST = re.compile(r"[0-9a-f]{64}")
ANOTHER = "a machine needs one of its own: from the page /add-device, or `dynolab devices join-token`"


async def join_machine(hub: Hub, asked: JoinRequest) -> AgentAccount:
    """Whose agent the machine is now, and its name if it was given one. Asked again in the same words, it is answered alike.

    Raises :class:`Unauthorized` for a token that is unknown, used or too old; :class:`Conflict` when hub and machine do not
    speak the same protocol, or the machine is a device already; :class:`Forbidden` when it is another account's.
    """
    _check(asked)
    key = digest(asked.join_token)
    async with hub.sign_in_throttle.counted("secret", key), hub.database.begin() as connection:
        row = await _join_token(connection, key)
        if row.token_id is not None:
            if row.token_digest == asked.token_digest:
                return AgentAccount(row.email, row.name)
            raise Unauthorized(f"the join token was used already, by {row.label!r}", hint=ANOTHER)
        if row.late:
            raise Unauthorized(
                f"the join token is too old: it was good until {row.expires_at:%Y-%m-%d %H:%M} UTC", hint=ANOTHER
            )
        await _check_free(connection, row.account_id, asked.device_id)
        await check_number(connection, row.account_id)
        await _use(connection, row, asked, checked_life(hub, None))
        return AgentAccount(row.email, row.name)


def _check(asked: JoinRequest) -> None:
    check_protocol(asked.protocol)
    if not DIGEST.fullmatch(asked.token_digest):
        raise SpecInvalid(f"the token's digest {asked.token_digest[:100]!r} is no SHA-256 in hexadecimal")
    bounds.check_text(asked.device_id, "device_id")
    checked_name(asked.name, "device")


async def _join_token(connection: AsyncConnection, key: str) -> Row[Any]:
    """Its row, with what came of it, locked: of two machines that show it at once, one is late."""
    locked = select(join_token.c.id).where(join_token.c.digest == key).with_for_update()
    id = await connection.scalar(locked)
    if id is None:
        raise Unauthorized("the join token is not known here", hint=ANOTHER)
    late = (join_token.c.expires_at <= func.now()).label("late")
    told = select(join_token, late, account.c.email, token.c.digest.label("token_digest"), token.c.label)
    of = join_token.join(account, account.c.id == join_token.c.account_id)
    found = told.select_from(of.outerjoin(token, token.c.id == join_token.c.token_id)).where(join_token.c.id == id)
    return (await connection.execute(found)).one()


async def _check_free(connection: AsyncConnection, account_id: int, device_id: str) -> None:
    """Refuse a device that another token serves, before the join token is used up."""
    found = (
        select(device.c.name, token.c.account_id, token.c.label, token.c.revoked_at)
        .join(token, token.c.id == device.c.token_id)
        .where(device.c.id == device_id)
    )
    row = (await connection.execute(found)).one_or_none()
    if row is not None and row.account_id != account_id:
        raise Forbidden(
            "this machine is a device of another account", hint="DYNOLAB_STATE gives its agent a folder of its own"
        )
    if row is not None and row.revoked_at is None:
        raise Conflict(
            f"this machine is the device {row.name!r} already, served with the token {row.label!r}",
            hint="revoke that token on the page /account/, or give its agent a folder of its own: DYNOLAB_STATE",
        )


async def _use(connection: AsyncConnection, row: Row[Any], asked: JoinRequest, life: timedelta | None) -> None:
    made, label = new_id("t"), row.name or checked_name(asked.name, "device")
    values = {"id": made, "account_id": row.account_id, "kind": "agent", "digest": asked.token_digest, "label": label}
    more = {"scopes": [AGENT], "made_by": "join", "expires_at": None if life is None else func.now() + life}
    kept = insert(token).values(**values, **more).on_conflict_do_nothing().returning(token.c.id)
    if (await connection.execute(kept)).one_or_none() is None:
        raise SpecInvalid("the machine's token is in use", hint="let it make another one")
    used = update(join_token).where(join_token.c.id == row.id)
    await connection.execute(used.values(token_id=made, used_at=func.now()))
    told = {"token": made, "device": asked.device_id, "name": label}
    await note(connection, "join-token.use", "join-token", row.id, account_id=row.account_id, details=told)
