"""A person signs in by e-mail address and password, for an API token."""

from __future__ import annotations

from sqlalchemy import select

from dynolab.errors import SpecInvalid
from dynolab.hub.store.tables import account
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.make_token import make_token

PASSWORD_MOST = 1024
"""Characters; more is no password, and hashing it would take longer."""


async def log_in(hub: Hub, email: str, password: str) -> str:
    """The secret of a new API token.

    Raises :class:`SpecInvalid`, with the same words and as late for a wrong password as for nobody's address, and
    :class:`RateLimited` after too many failures.
    """
    name, known = email.strip(), None
    storable = len(name) <= PASSWORD_MOST and name.isprintable()
    if storable:
        kept = select(account.c.password_hash).where(account.c.email == name)
        async with hub.database.single() as connection:
            known = await connection.scalar(kept)
    fits = await hub.passwords.fits(name[:PASSWORD_MOST], known, password[:PASSWORD_MOST])
    if not fits or len(password) > PASSWORD_MOST:
        raise SpecInvalid(
            "the e-mail address or the password is wrong", hint="an API token works without a password: see client.ini"
        )
    return await make_token(hub, email=name, kind="user", label="login by password")
