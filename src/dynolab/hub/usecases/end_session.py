"""A browser is signed out."""

from __future__ import annotations

from sqlalchemy import delete

from dynolab.errors import NotFound
from dynolab.hub.store.tables import session
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.sign_in import digest


async def sign_out(hub: Hub, secret: str) -> None:
    """The browser whose cookie this is: whoever copied that has nothing any more. One that is not signed in stays so."""
    async with hub.database.begin() as connection:
        gone = delete(session).where(session.c.digest == digest(secret)).returning(session.c.id, session.c.account_id)
        row = (await connection.execute(gone)).one_or_none()
        if row is not None:
            await note(connection, "session.end", "session", row.id, account_id=row.account_id)


async def end_session(hub: Hub, account: Account, session_id: str) -> None:
    """One of the account's browsers. Raises :class:`NotFound` for one that is not there, or another's."""
    check_whole(account)
    mine = session.c.id == session_id, session.c.account_id == account.id
    async with hub.database.begin() as connection:
        ended = await connection.execute(delete(session).where(*mine).returning(session.c.id))
        if ended.one_or_none() is None:
            raise NotFound(f"there is no session {session_id!r}", hint="it may have ended already")
        await note(connection, "session.end", "session", session_id)


async def end_other_sessions(hub: Hub, account: Account) -> None:
    """All of the account's browsers but the one that asks; all, where a client asks."""
    check_whole(account)
    others = session.c.account_id == account.id, session.c.id != account.session_id
    async with hub.database.begin() as connection:
        ended = (await connection.execute(delete(session).where(*others).returning(session.c.id))).scalars().all()
        await note(connection, "session.end-others", "account", account.id, details={"count": len(ended)})
