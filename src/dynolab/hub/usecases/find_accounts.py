"""The people of a hub, for whoever runs it: who has an account, how they sign in, and when they were last seen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from sqlalchemy import ColumnElement, Row, Select, and_, exists, func, or_, select

from dynolab.errors import NotFound, SpecInvalid
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import identity, session, token
from dynolab.hub.usecases.addresses import account_at
from dynolab.hub.usecases.base import Account, Cursor, Hub, newest_first, pattern
from dynolab.hub.usecases.check_runs_hub import check_runs_hub

State = Literal["", "open", "closed", "admin"]
STATES: tuple[State, ...] = ("", "open", "closed", "admin")
"""All; those that may come in; those that were closed; those that run the hub."""
ID_DIGITS = 18


@dataclass(frozen=True, slots=True)
class AccountFilter:
    """Which accounts; empty is all. ``text``: a part of the address or the name."""

    text: str = ""
    state: State = ""


ALL = AccountFilter()
KEPT = tuple(accounts.c[name] for name in ("id", "email", "name", "is_admin", "created_at", "closed_at"))
"""What is told of an account, besides ``has_password``, ``by_provider`` (signed in by OpenID Connect once), how many good ``tokens``, and
when it was last ``seen_at``, to five minutes: a browser, a client, an agent."""


async def find_accounts(
    hub: Hub, account: Account, wanted: AccountFilter = ALL, *, limit: int | None = None, cursor: Cursor | None = None
) -> list[Row[Any]]:
    """Those that were made last first: :data:`KEPT`.

    Raises :class:`Forbidden`, and :class:`SpecInvalid` for a cursor that no page of this list has given.
    """
    check_runs_hub(account)
    chosen = select(accounts.c.id).where(*_conditions(wanted), *_beyond(cursor)).limit(limit)
    async with hub.database.single() as connection:
        rows = (await connection.execute(_told(chosen.order_by(*_order(accounts, cursor)), cursor))).all()
    return newest_first(rows, cursor)


async def find_one_account(hub: Hub, account: Account, email: str) -> Row[Any]:
    """The account of this address, as in the list. Raises :class:`Forbidden` and :class:`NotFound`."""
    check_runs_hub(account)
    async with hub.database.single() as connection:
        known = await account_at(connection, email)
        if known is None:
            raise no_account(email)
        found: Row[Any] = (
            await connection.execute(_told(select(accounts.c.id).where(accounts.c.id == known.id)))
        ).one()
    return found


def no_account(email: str) -> NotFound:
    """The error for an address that no account has."""
    return NotFound(
        f"there is no account {email[:254]!r}", hint="the page /people/ and `dynolab hub account list` name them"
    )


def _told(chosen: Select[Any], cursor: Cursor | None = None) -> Select[Any]:
    """What is told of the accounts of these ids: tokens and browsers are looked up for a page's rows alone."""
    page = chosen.subquery()
    owned = token.c.account_id == accounts.c.id
    good = token.c.revoked_at.is_(None), func.coalesce(token.c.expires_at > func.now(), True)
    tokens = select(func.count()).where(owned, *good).scalar_subquery()
    used = select(func.max(token.c.used_at)).where(owned).scalar_subquery()
    seen = select(func.max(session.c.seen_at)).where(session.c.account_id == accounts.c.id).scalar_subquery()
    linked = identity.c.account_id == accounts.c.id
    signed_in = select(func.max(identity.c.seen_at)).where(linked).scalar_subquery()
    return (
        select(
            *KEPT,
            accounts.c.password_hash.is_not(None).label("has_password"),
            exists().where(linked).label("by_provider"),
            tokens.label("tokens"),
            func.greatest(used, seen, signed_in).label("seen_at"),
        )
        .join(page, page.c.id == accounts.c.id)
        .order_by(*_order(accounts, cursor))
    )


def _order(of: Any, cursor: Cursor | None) -> tuple[ColumnElement[Any], ...]:
    if cursor is not None and cursor.newer:
        return of.c.created_at, of.c.id
    return of.c.created_at.desc(), of.c.id.desc()


def _conditions(wanted: AccountFilter) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = []
    if wanted.text:
        like = pattern(wanted.text)
        found.append(or_(*(column.ilike(like, escape="/") for column in (accounts.c.email, accounts.c.name))))
    states = {
        "open": accounts.c.closed_at.is_(None),
        "closed": accounts.c.closed_at.is_not(None),
        "admin": accounts.c.is_admin,
    }
    return found + ([states[wanted.state]] if wanted.state else [])


def _beyond(cursor: Cursor | None) -> list[ColumnElement[bool]]:
    if cursor is None:
        return []
    if not (cursor.id.isascii() and cursor.id.isdecimal()) or len(cursor.id) > ID_DIGITS:
        raise SpecInvalid(f"{cursor.id[:40]!r} is no place in the list of accounts", hint="begin with its first page")
    at, id, last = accounts.c.created_at, accounts.c.id, int(cursor.id)
    if cursor.newer:
        return [and_(at >= cursor.at, or_(at > cursor.at, id > last))]
    return [and_(at <= cursor.at, or_(at < cursor.at, id < last))]
