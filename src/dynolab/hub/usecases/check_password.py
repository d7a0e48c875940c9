"""Whose e-mail address and password these are."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import func, select

from dynolab.errors import SpecInvalid
from dynolab.hub.store.tables import account
from dynolab.hub.usecases.base import Hub

PASSWORD_MOST = 1024
"""Characters; more is no password, and hashing it would take longer."""


@dataclass(frozen=True, slots=True)
class Proven:
    """An account whose password was told, and the hash that it fitted."""

    account_id: int
    password_hash: str


async def check_password(hub: Hub, email: str, password: str) -> Proven:
    """The account of that address and password.

    Raises :class:`SpecInvalid`, with the same words and as late for a wrong password as for nobody's address, and
    :class:`RateLimited` after too many failures.
    """
    name = email.strip()
    async with hub.sign_in_throttle.counted("password", name[:PASSWORD_MOST].lower()):
        return await _check(hub, name, password)


async def _check(hub: Hub, name: str, password: str) -> Proven:
    row = None
    storable = len(name) <= PASSWORD_MOST and name.isprintable()
    if storable:
        kept = select(account.c.id, account.c.password_hash).where(func.lower(account.c.email) == name.lower())
        async with hub.database.single() as connection:
            row = (await connection.execute(kept.order_by(account.c.email != name).limit(1))).one_or_none()
    known = None if row is None else row.password_hash
    fits = await hub.passwords.fits(name[:PASSWORD_MOST].lower(), known, password[:PASSWORD_MOST])
    if row is None or not fits or len(password) > PASSWORD_MOST:
        raise SpecInvalid(
            "the e-mail address or the password is wrong", hint="an API token works without a password: see client.ini"
        )
    return Proven(row.id, row.password_hash)
