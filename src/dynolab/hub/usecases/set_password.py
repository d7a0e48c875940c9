"""An account gets a password, another, or none any more."""

from __future__ import annotations

from sqlalchemy import delete, select, update

from dynolab.errors import Forbidden, NotFound, SpecInvalid
from dynolab.hub.store.tables import account as account_table
from dynolab.hub.store.tables import session
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.addresses import account_at
from dynolab.hub.usecases.audit import note, note_refused
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.check_password import PASSWORD_MOST
from dynolab.hub.usecases.closed import is_closed

PASSWORD_LEAST = 8
"""NIST SP 800-63B, section 5.1.1.1; nothing is asked of its characters, as it advises."""


async def change_password(hub: Hub, account: Account, password: str | None, *, current: str | None) -> None:
    """One's own; ``password`` None: none any more. Who has one must name it: a token that was lost is not to change it.

    All other browsers are signed out; tokens are as good as before.
    Raises :class:`SpecInvalid`, :class:`Forbidden` for a wrong current password, and :class:`RateLimited`.
    """
    check_whole(account)
    checked = None if password is None else checked_password(password)
    kept = select(account_table.c.password_hash).where(account_table.c.id == account.id)
    async with hub.database.single() as connection:
        known = await connection.scalar(kept)
    if known is not None:
        async with hub.sign_in_throttle.counted("password", account.email.lower()):
            if not await hub.passwords.fits(account.email.lower(), known, (current or "")[:PASSWORD_MOST]):
                await note_refused(hub, "account.password", "account", account.id, why="the current password is wrong")
                raise Forbidden(
                    "the current password is wrong or was not sent", hint="whoever runs the hub can set another one"
                )
    await _keep(hub, account.email, checked, stays=account.session_id)


async def set_password(hub: Hub, email: str, password: str) -> None:
    """Anybody's, by whoever runs the hub; all their browsers are signed out.

    Raises :class:`NotFound`, :class:`Conflict` for an account that was closed, and :class:`SpecInvalid`.
    """
    checked = checked_password(password)
    async with hub.database.single() as connection:
        known = await account_at(connection, email)
    if known is not None and known.closed_at is not None:
        raise is_closed(known.email)
    await _keep(hub, email if known is None else known.email, checked)


def checked_password(password: str) -> str:
    """The same. Raises :class:`SpecInvalid` for one that is too short or too long."""
    if not PASSWORD_LEAST <= len(password) <= PASSWORD_MOST:
        raise SpecInvalid(
            f"the password has {len(password)} characters; {PASSWORD_LEAST} to {PASSWORD_MOST} are taken",
            hint="a few words in a row are good",
        )
    return password


async def _keep(hub: Hub, email: str, password: str | None, *, stays: str = "") -> None:
    """``stays`` is the session that does not end with that."""
    values = {"password_hash": None if password is None else await hub.passwords.hash(password)}
    changed = update(account_table).where(account_table.c.email == email).values(values)
    async with hub.database.begin() as connection:
        owner = await connection.scalar(changed.returning(account_table.c.id))
        if owner is None:
            raise NotFound(f"there is no account {email!r}", hint="`dynolab hub account add` makes one")
        await connection.execute(delete(session).where(session.c.account_id == owner, session.c.id != stays))
        await note(
            connection, "account.password", "account", owner, details={"what": "removed" if password is None else "set"}
        )
