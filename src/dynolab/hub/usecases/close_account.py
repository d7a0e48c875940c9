"""Somebody leaves: an account is closed, and stays so until whoever runs the hub opens it again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Row, Table, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import invitation, job, join_token, member, member_link, organisation, session, token
from dynolab.hub.usecases.addresses import account_at
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.change_admin import check_others_run_hub
from dynolab.hub.usecases.check_runs_hub import check_runs_hub
from dynolab.hub.usecases.find_accounts import no_account
from dynolab.hub.usecases.policy import Role
from dynolab.hub.usecases.revoke_token import tell_revoked
from dynolab.hub.usecases.withdraw_jobs import withdraw_jobs


@dataclass(frozen=True, slots=True)
class Closed:
    """How many of each an account lost."""

    email: str
    tokens: int
    browsers: int
    memberships: int


async def close_account(hub: Hub, account: Account, email: str) -> Closed:
    """Revoke its tokens (its agents' too), sign its browsers out, and take its password, memberships and rights to run the hub away.

    Links and join tokens that it handed out end as well. What it made stays. From then on nothing lets it in, a sign-in by the
    provider neither, before :func:`open_account`. Raises :class:`Forbidden`, :class:`NotFound`, and :class:`Conflict` for one's own account,
    for an organisation's only owner and for the last who runs the hub.
    """
    check_runs_hub(account)
    async with hub.database.begin() as connection:
        found = await _account(connection, email)
        if found.id == account.id:
            raise Conflict("nobody closes their own account", hint="another one who runs the hub can do it")
        await _check_replaced(connection, found.id, found.email)
        nothing = {"password_hash": None, "is_admin": False}
        since = func.coalesce(accounts.c.closed_at, func.now())
        await connection.execute(update(accounts).where(accounts.c.id == found.id).values(**nothing, closed_at=since))
        tokens, browsers = await _end_all(connection, found.id)
        memberships = await _gone(connection, member, found.id)
        closed = Closed(found.email, tokens, browsers, memberships)
        told = {"email": closed.email, "tokens": closed.tokens, "browsers": browsers, "memberships": memberships}
        await note(connection, "account.close", "account", found.id, details=told)
        await withdraw_jobs(hub, connection, job.c.account_id == found.id)
    hub.signed_in.clear()
    return closed


async def open_account(hub: Hub, account: Account, email: str) -> str:
    """The account's address. It may come in again, by the provider, or a token or password that it is given then; what ended stays so.

    Raises :class:`Forbidden`, :class:`NotFound`, and :class:`Conflict` for one that was not closed.
    """
    check_runs_hub(account)
    async with hub.database.begin() as connection:
        found = await _account(connection, email)
        opened = update(accounts).where(accounts.c.id == found.id, accounts.c.closed_at.is_not(None))
        if await connection.scalar(opened.values(closed_at=None).returning(accounts.c.id)) is None:
            raise Conflict(
                f"the account {found.email} is not closed", hint="`dynolab hub account list` tells which are"
            )
        await _end_all(connection, found.id)  # what came just as it was closed is not to open anything now
        await note(connection, "account.open", "account", found.id, details={"email": found.email})
        return str(found.email)


async def _account(connection: AsyncConnection, email: str) -> Row[Any, Any, Any]:
    found = await account_at(connection, email)
    if found is None:
        raise no_account(email)
    return found


async def _end_all(connection: AsyncConnection, account_id: int) -> tuple[int, int]:
    """How many tokens and browsers were good until now; links and join tokens end with them."""
    good = token.c.account_id == account_id, token.c.revoked_at.is_(None)
    revoked = update(token).where(*good).values(revoked_at=func.now()).returning(token.c.id)
    tokens = list((await connection.execute(revoked)).scalars())
    for token_id in tokens:
        await tell_revoked(connection, token_id)
    for opens in (invitation.c.account_id, join_token.c.account_id, member_link.c.made_by):
        await connection.execute(delete(opens.table).where(opens == account_id))
    return len(tokens), await _gone(connection, session, account_id)


async def _gone(connection: AsyncConnection, table: Table, account_id: int) -> int:
    gone = delete(table).where(table.c.account_id == account_id).returning(table.c.id)
    return len((await connection.execute(gone)).all())


async def _check_replaced(connection: AsyncConnection, account_id: int, email: str) -> None:
    """Raises :class:`Conflict` where something would be left to nobody."""
    of = member.c.organisation_id == organisation.c.id, member.c.project_id.is_(None), member.c.role == Role.OWNER.word
    mine = select(member.c.id).where(*of, member.c.account_id == account_id).exists()
    others = select(member.c.id).where(*of, member.c.account_id != account_id).exists()
    alone = select(organisation.c.name).where(mine, ~others).order_by(organisation.c.name)
    if names := list((await connection.execute(alone)).scalars()):
        raise Conflict(
            f"{email} is the only owner of {', '.join(names)}",
            hint="make somebody else an owner first, on its page or with `dynolab hub organisation member NAME EMAIL owner`",
        )
    if await connection.scalar(select(accounts.c.is_admin).where(accounts.c.id == account_id)):
        await check_others_run_hub(connection, account_id, email)
