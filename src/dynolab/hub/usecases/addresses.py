"""E-mail addresses as people type them: of an account, however it is capitalised."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from dynolab.hub.store.tables import account


async def account_at(connection: AsyncConnection, email: str) -> Row[Any, Any, Any] | None:
    """The ``id``, ``email`` and ``closed_at`` of the account of this address; of two that are alike, the one that is spelled so."""
    alike = select(account.c.id, account.c.email, account.c.closed_at).where(
        func.lower(account.c.email) == email.lower()
    )
    return (await connection.execute(alike.order_by(account.c.email != email).limit(1))).one_or_none()


async def as_spelled(connection: AsyncConnection, emails: Sequence[str]) -> list[str]:
    """The addresses, those of accounts here as the accounts spell them; each once."""
    alike = select(account.c.email).where(func.lower(account.c.email).in_([one.lower() for one in emails]))
    known = list((await connection.execute(alike)).scalars()) if emails else []
    spelled = {one.lower(): one for one in known}
    return list(dict.fromkeys(one if one in known else spelled.get(one.lower(), one) for one in emails))
