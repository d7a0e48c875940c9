"""Who runs the hub: rights that are given and taken away, and never the last one's."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import Conflict
from dynolab.hub.store.tables import account as accounts
from dynolab.hub.store.tables import identity
from dynolab.hub.usecases.addresses import account_at
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.check_runs_hub import check_runs_hub
from dynolab.hub.usecases.closed import is_closed
from dynolab.hub.usecases.find_accounts import no_account
from dynolab.hub.usecases.revoke_token import tell_rights_changed


async def set_admin(hub: Hub, account: Account, email: str, is_admin: bool) -> str:
    """Whether an account runs the hub from now on; its address. Said twice, it is done once.

    Raises :class:`Forbidden`, :class:`NotFound`, and :class:`Conflict` for an account that was closed, for one's own, for the last who
    runs the hub, and for rights that a group at the OpenID Connect provider gives.
    """
    check_runs_hub(account)
    async with hub.database.begin() as connection:
        found = await account_at(connection, email)
        if found is None:
            raise no_account(email)
        if is_admin and found.closed_at is not None:
            raise is_closed(found.email)
        if not is_admin:
            await _check_may_end(hub, connection, account, found)
        changed = update(accounts).where(accounts.c.id == found.id, accounts.c.is_admin.is_not(is_admin))
        changed = changed.values(is_admin=is_admin).returning(accounts.c.id)
        if await connection.scalar(changed) is None:
            return str(found.email)
        # Given or taken by hand: no group's to end.
        await connection.execute(update(identity).where(identity.c.account_id == found.id).values(gave_admin=False))
        await note(connection, "account.admin", "account", found.id, details={"email": found.email, "admin": is_admin})
        await tell_rights_changed(connection)
    hub.signed_in.clear()
    return str(found.email)


async def _check_may_end(hub: Hub, connection: AsyncConnection, account: Account, found: Row[Any, Any, Any]) -> None:
    if found.id == account.id:
        raise Conflict(
            "nobody takes their own right to run the hub away", hint="another one who runs the hub can do it"
        )
    group = None if hub.oidc is None else hub.oidc.provider.settings.admin_group
    of_group = select(identity.c.subject).where(identity.c.account_id == found.id, identity.c.gave_admin).limit(1)
    if group is not None and await connection.scalar(of_group) is not None:
        raise Conflict(
            f"{found.email} runs the hub as one of the group {group!r} at the OpenID Connect provider",
            hint="take them out of that group: it ends when they next sign in",
        )
    await check_others_run_hub(connection, found.id, found.email)


async def check_others_run_hub(connection: AsyncConnection, account_id: int, email: str) -> None:
    """Raises :class:`Conflict` for the last account that runs the hub.

    Locks the rows of all that do until the transaction ends: of two that would end each other's rights, the second finds itself the last.
    """
    running = select(accounts.c.id).where(accounts.c.is_admin).order_by(accounts.c.id).with_for_update(key_share=True)
    if list((await connection.execute(running)).scalars()) == [account_id]:
        raise Conflict(
            f"{email} is the only one who runs the hub",
            hint="let another account run it first, on the page /people/ or with `dynolab hub account admin EMAIL`",
        )
