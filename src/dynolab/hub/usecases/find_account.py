"""What is kept of an account."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, select

from dynolab.hub.store.tables import account as account_table
from dynolab.hub.usecases.base import Account, Hub


async def find_account(hub: Hub, account: Account) -> Row[Any]:
    """The account that asks: ``email``, ``name``, ``created_at``, and ``has_password``."""
    columns = (account_table.c.email, account_table.c.name, account_table.c.created_at)
    kept = select(*columns, account_table.c.password_hash.is_not(None).label("has_password"))
    async with hub.database.begin() as connection:
        return (await connection.execute(kept.where(account_table.c.id == account.id))).one()
