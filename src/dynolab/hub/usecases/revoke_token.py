"""A token is worth nothing any more."""

from __future__ import annotations

from sqlalchemy import delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.errors import NotFound
from dynolab.hub.scheduling.queue import CHANNEL
from dynolab.hub.store.tables import session, token
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub


async def revoke_token(hub: Hub, account: Account, token_id: str) -> None:
    """From now on it opens no door, and what waits with it or was opened with it ends; said twice, it is done once.

    Raises :class:`NotFound` for one that is not there, or another's.
    """
    check_whole(account)
    mine = (token.c.id == token_id, token.c.account_id == account.id)
    values = {"revoked_at": func.coalesce(token.c.revoked_at, func.now())}
    async with hub.database.begin() as connection:
        revoked = update(token).where(*mine).values(values).returning(token.c.id)
        if (await connection.execute(revoked)).one_or_none() is None:
            raise NotFound(f"there is no token {token_id!r}", hint="`GET tokens` lists yours")
        await connection.execute(delete(session).where(session.c.token_id == token_id))
        await tell_revoked(connection, token_id)
        await note(connection, "token.revoke", "token", token_id)
    hub.signed_in.clear()  # at once here; other replicas hear of it


async def tell_revoked(connection: AsyncConnection, token_id: str) -> None:
    """Have those who wait with the token sent away, here and at other replicas, once the transaction is there."""
    await connection.execute(select(func.pg_notify(CHANNEL, revocation(token_id))))


async def tell_rights_changed(connection: AsyncConnection) -> None:
    """Have all replicas look accounts up again that they know by their tokens; nobody is sent away."""
    await tell_revoked(connection, "")


def revocation(token_id: str) -> str:
    """What those who wait with a token listen for."""
    return f"token:{token_id}"
