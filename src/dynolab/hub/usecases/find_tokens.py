"""The tokens of an account."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.sql import Select

from dynolab.hub.store.tables import token
from dynolab.hub.usecases.base import Account, Hub


async def find_tokens(hub: Hub, account: Account) -> list[Row[Any]]:
    """All of them, also the revoked, newest first; secrets are not kept."""
    columns = (token.c.id, token.c.kind, token.c.label, token.c.created_at, token.c.revoked_at)
    mine: Select[Any] = (
        select(*columns).where(token.c.account_id == account.id).order_by(token.c.created_at.desc(), token.c.id)
    )
    async with hub.database.begin() as connection:
        return list((await connection.execute(mine)).all())
