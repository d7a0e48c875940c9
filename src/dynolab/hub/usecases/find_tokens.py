"""The tokens of an account."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.sql import Select

from dynolab.hub.store.tables import token
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.make_token import SHOWN


async def find_tokens(hub: Hub, account: Account) -> list[Row[Any]]:
    """All of them, also the revoked, newest first; secrets are not kept."""
    mine: Select[Any] = (
        select(*SHOWN).where(token.c.account_id == account.id).order_by(token.c.created_at.desc(), token.c.id)
    )
    async with hub.database.begin() as connection:
        return list((await connection.execute(mine)).all())
