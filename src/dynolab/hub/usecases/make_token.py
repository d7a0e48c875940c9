"""A new token for a user or for an agent."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, exists, func, insert, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict, SpecInvalid
from dynolab.hub.store.tables import account, token
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.asking import asking
from dynolab.hub.usecases.audit import OPERATOR, note
from dynolab.hub.usecases.base import Account, Hub, checked_name, new_id
from dynolab.hub.usecases.closed import is_closed
from dynolab.hub.usecases.place import find_project, no_project
from dynolab.hub.usecases.scopes import checked_scopes
from dynolab.hub.usecases.sign_in import digest
from dynolab.spec.joining import AGENT_PREFIX

PREFIXES = {"user": "dl_", "agent": AGENT_PREFIX}
SECRET_BYTES = 20
TOKENS_MOST = 500
"""Of one account that are good: people make one for each machine."""
SHOWN = (
    *(token.c.id, token.c.kind, token.c.label, token.c.scopes, token.c.made_by, token.c.created_at, token.c.used_at),
    *(token.c.expires_at, token.c.rotated_at, token.c.previous_until, token.c.revoked_at),
    token.c.project_id,
)
"""What is told of a token."""
LIFE_MOST_DAYS = 36_500


@dataclass(frozen=True, slots=True)
class TokenTerms:
    """What a new token is for and how long; ``days`` None: as the hub is set up, 0: without an end. ``made_by``: in a word."""

    scopes: Sequence[str] = ()
    days: float | None = None
    made_by: str = ""


async def make_token(
    hub: Hub, *, email: str, kind: str, label: str, is_admin: bool = False, terms: TokenTerms | None = None
) -> str:
    """The token's secret, which is shown this once; the account is made, as ``is_admin`` says, when there is none of that address.

    It is for whoever runs the hub: without ``days`` it has no end. Raises :class:`SpecInvalid` for terms that are none, and
    :class:`Conflict` for an account that was closed.
    """
    asked = terms or TokenTerms()
    checked_scopes(kind, asked.scopes)
    life = None if asked.days is None else _days(asked.days)
    async with hub.database.begin() as connection:
        await connection.execute(
            upsert(account)
            .values(email=email, name=email.partition("@")[0], is_admin=is_admin)
            .on_conflict_do_nothing()
        )
        owner, closed_at = (
            await connection.execute(select(account.c.id, account.c.closed_at).where(account.c.email == email))
        ).one()
        if closed_at is not None:
            raise is_closed(email)
        _, secret = await insert_token(connection, owner, kind, label, terms=asked, life=life)
    return secret


async def make_first_token(hub: Hub, email: str, label: str) -> str | None:
    """The secret of the first administrator's token, and the account for it; None: another replica has made it before."""
    terms = TokenTerms(made_by="first start")
    made = upsert(account).values(email=email, name=email.partition("@")[0], is_admin=True).on_conflict_do_nothing()
    async with hub.database.begin() as connection:
        await connection.execute(made)
        locked = select(account.c.id).where(account.c.email == email).with_for_update()
        owner = (await connection.execute(locked)).scalar_one()
        before = exists().where(token.c.account_id == owner, token.c.kind == "user", token.c.made_by == terms.made_by)
        if await connection.scalar(select(before)):
            return None
        _, secret = await insert_token(connection, owner, "user", label, terms=terms, life=None)
    return secret


async def make_own_token(
    hub: Hub, owner: Account, *, kind: str, label: str, terms: TokenTerms | None = None, project: str = ""
) -> tuple[Row[Any], str]:
    """The token's row, and its secret, which is shown this once. ``project``: the one that it is to work in, by id or name.

    Raises :class:`SpecInvalid`, and :class:`NotFound` for a project that the account does not see.
    """
    check_whole(owner)
    if kind not in PREFIXES:
        raise SpecInvalid(f"the token kind {kind!r} is not known", hint=f"known: {', '.join(PREFIXES)}")
    asked = terms or TokenTerms()
    checked_scopes(kind, asked.scopes)
    life = checked_life(hub, asked.days)
    async with hub.database.begin() as connection:
        await check_number(connection, owner.id)
        project_id = await _project_of(connection, owner, kind, project) if project else None
        name = checked_name(label, "token")
        return await insert_token(connection, owner.id, kind, name, terms=asked, life=life, project_id=project_id)


async def _project_of(connection: AsyncConnection, owner: Account, kind: str, named: str) -> str:
    if kind != "user":
        raise SpecInvalid(
            "an agent's token is bound to no project", hint="leave the project out, or make a token for a user"
        )
    found = await find_project(connection, owner, named)
    if found is None:
        raise await no_project(connection, owner, named)
    return found


def checked_life(hub: Hub, days: float | None) -> timedelta | None:
    """How long a token is good that somebody makes; None: it has no end. Raises :class:`SpecInvalid` beyond the hub's bound."""
    most = hub.limits.token_life_max
    if days is None:
        default = hub.limits.token_life
        return default if most is None else most if default is None else min(default, most)
    life = _days(days)
    if most is not None and (life is None or life > most):
        raise SpecInvalid(
            f"a token may be good for {most / timedelta(days=1):g} days at most here",
            hint="whoever runs the hub says so",
        )
    return life


def _days(days: float) -> timedelta | None:
    if not 0 <= days <= LIFE_MOST_DAYS:
        raise SpecInvalid(f"{days:.15g} days are no life of a token", hint=f"up to {LIFE_MOST_DAYS}; 0: without an end")
    return timedelta(days=days) if days else None


async def check_number(connection: AsyncConnection, owner: int) -> None:
    """Raises :class:`Conflict` where the account has as many tokens as it may have."""
    good = select(func.count()).where(token.c.account_id == owner, token.c.revoked_at.is_(None))
    if int(await connection.scalar(good) or 0) >= TOKENS_MOST:
        raise Conflict(f"the account has {TOKENS_MOST} tokens already", hint="revoke those that nobody uses")


async def insert_token(
    connection: AsyncConnection,
    owner: int,
    kind: str,
    label: str,
    *,
    by_password: bool = False,
    terms: TokenTerms,
    life: timedelta | None,
    project_id: str | None = None,
) -> tuple[Row[Any], str]:
    """The row and the secret of a new token of the account whose id ``owner`` is; ``terms`` and ``life`` are checked already."""
    secret = PREFIXES[kind] + secrets.token_urlsafe(SECRET_BYTES)
    values = {"id": new_id("t"), "account_id": owner, "kind": kind, "digest": digest(secret), "label": label}
    more = {"scopes": checked_scopes(kind, terms.scopes), "made_by": terms.made_by, "project_id": project_id}
    end = None if life is None else func.now() + life
    made = insert(token).values(**values, **more, by_password=by_password, expires_at=end).returning(*SHOWN)
    row = (await connection.execute(made)).one()
    told = {"label": label, "of": kind, "scopes": row.scopes, "way": terms.made_by, "expires_at": row.expires_at}
    await note(connection, "token.make", "token", row.id, account_id=owner, who=_maker(terms), details=told)
    return row, secret


def _maker(terms: TokenTerms) -> str:
    """Who makes it, where that is not whom it belongs to: whoever runs the hub, by name where one of them asks."""
    if terms.made_by not in ("operator", "first start"):
        return ""
    request = asking.get()
    return OPERATOR if request is None else request.email
