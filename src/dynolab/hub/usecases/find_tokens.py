"""The tokens of an account."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select
from sqlalchemy.sql import Select

from dynolab.hub.store.tables import token
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.make_token import SHOWN

SHOWN_MOST = 1000
"""An account has half as many good ones at most; of the revoked, the newest are shown."""


async def find_tokens(hub: Hub, account: Account) -> list[Row[Any]]:
    """All of them, also the revoked, newest first; secrets are not kept. Who asks with one that is bound to a project is told of it alone."""
    mine: Select[Any] = (
        select(*SHOWN)
        .where(token.c.account_id == account.id, *([] if not account.is_bound else [token.c.id == account.token_id]))
        .order_by(token.c.revoked_at.desc(), token.c.created_at.desc(), token.c.id)
    )
    mine = mine.limit(SHOWN_MOST)  # a revoked_at that is NULL comes first
    async with hub.database.begin() as connection:
        found = (await connection.execute(mine)).all()
    return sorted(found, key=lambda row: (row.created_at, row.id), reverse=True)
