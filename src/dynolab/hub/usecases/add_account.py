"""Whoever runs the hub lets another person in."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.dialects.postgresql import insert

from dynolab.errors import Conflict, NotFound, SpecInvalid
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.usecases.addresses import account_at
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub, checked_name
from dynolab.hub.usecases.check_runs_hub import OPERATOR, check_runs_hub
from dynolab.hub.usecases.closed import is_closed
from dynolab.hub.usecases.make_token import TokenTerms, checked_life, insert_token, make_token
from dynolab.hub.usecases.share_access import EMAIL, EMAIL_MOST


async def add_account(hub: Hub, account: Account, email: str, name: str = "", is_admin: bool = False) -> str:
    """The secret of the new account's first API token; ``is_admin``: one that runs the hub.

    The token has no end where a command makes it, else as the hub is set up. Raises :class:`Forbidden`, :class:`SpecInvalid`, and
    :class:`Conflict` for one that is there.
    """
    check_runs_hub(account)
    if len(email) > EMAIL_MOST or not EMAIL.fullmatch(email) or checked_name(email, "account") != email:
        raise SpecInvalid(f"{email[:EMAIL_MOST]!r} is no e-mail address", hint="such as ana@example.org")
    named = {"email": email, "name": checked_name(name, "account") or email.partition("@")[0]}
    values = {**named, "is_admin": is_admin}
    made = insert(accounts).values(values).on_conflict_do_nothing().returning(accounts.c.id)
    life = None if account == OPERATOR else checked_life(hub, None)
    async with hub.database.begin() as connection:
        known = await account_at(connection, email)
        if known is not None and known.closed_at is not None:
            raise is_closed(known.email)
        new = None if known is not None else await connection.scalar(made)
        if new is None:
            raise Conflict(f"there is an account {email} already", hint="`dynolab hub account token` makes a new token")
        await note(connection, "account.make", "account", new, details={"email": email, "admin": is_admin})
        terms = TokenTerms(made_by="operator")
        _, secret = await insert_token(connection, new, "user", "made with the account", terms=terms, life=life)
    return secret


async def add_token(hub: Hub, email: str, kind: str, scopes: Sequence[str] = (), days: float | None = None) -> str:
    """The secret of one more token of kind ``user`` or ``agent``; without ``days`` it has no end.

    Raises :class:`NotFound`, :class:`Conflict` for an account that was closed, and :class:`SpecInvalid` for scopes and days that
    are none.
    """
    async with hub.database.single() as connection:
        known = await account_at(connection, email)
        if known is None:
            raise NotFound(f"there is no account {email!r}", hint="`dynolab hub account add` makes one")
        if known.closed_at is not None:
            raise is_closed(known.email)
    terms = TokenTerms(scopes, days, made_by="operator")
    return await make_token(hub, email=known.email, kind=kind, label="made by whoever runs the hub", terms=terms)
