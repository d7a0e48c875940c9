"""A token that makes one machine a device, within a while."""

from __future__ import annotations

import secrets
from datetime import timedelta

from sqlalchemy import func, insert, select

from dynolab.errors import Conflict
from dynolab.hub.store.tables import join_token
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub, checked_name, new_id
from dynolab.hub.usecases.make_token import SECRET_BYTES
from dynolab.hub.usecases.sign_in import digest
from dynolab.spec.joining import JOIN_PREFIX

JOIN_LIFE = timedelta(hours=1)
"""From the page to the machine, and dynolab installed there."""
OPEN_MOST = 100
"""Of one account: a rack of boards is set up at once, too."""


async def make_join_token(hub: Hub, account: Account, name: str = "") -> tuple[str, str]:
    """Its id and its secret, which is shown this once. ``name``: what the device is to be called; empty: by its machine.

    Raises :class:`SpecInvalid` for a name that is none, and :class:`Conflict` while too many wait for their machines.
    """
    check_whole(account)
    name, secret, made = checked_name(name, "device"), JOIN_PREFIX + secrets.token_urlsafe(SECRET_BYTES), new_id("w")
    good = join_token.c.used_at.is_(None), join_token.c.expires_at > func.now()
    count = select(func.count()).where(join_token.c.account_id == account.id, *good)
    values = {"id": made, "account_id": account.id, "digest": digest(secret), "name": name}
    async with hub.database.begin() as connection:
        if int(await connection.scalar(count) or 0) >= OPEN_MOST:
            raise Conflict(
                f"{OPEN_MOST} join tokens wait for their machines already", hint="each is over after an hour"
            )
        await connection.execute(insert(join_token).values(**values, expires_at=func.now() + JOIN_LIFE))
        await note(connection, "join-token.make", "join-token", made, details={"name": name})
    return made, secret
