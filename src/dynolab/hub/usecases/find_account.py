"""What is kept of an account, and who has one."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func, select

from dynolab.hub.store.tables import account as account_table
from dynolab.hub.store.tables import session, token
from dynolab.hub.usecases.base import Account, Hub


async def find_account(hub: Hub, account: Account) -> Row[Any]:
    """The account that asks: ``email``, ``name``, ``created_at``, and ``has_password``."""
    columns = (account_table.c.email, account_table.c.name, account_table.c.created_at)
    kept = select(*columns, account_table.c.password_hash.is_not(None).label("has_password"))
    async with hub.database.begin() as connection:
        return (await connection.execute(kept.where(account_table.c.id == account.id))).one()


async def find_accounts(hub: Hub) -> list[Row[Any]]:
    """All accounts, by address: ``email``, ``name``, ``is_admin``, ``has_password``, ``closed_at``, how many good ``tokens``, and when it was last ``seen_at``. For whoever runs the hub."""
    owned = token.c.account_id == account_table.c.id
    good = token.c.revoked_at.is_(None), func.coalesce(token.c.expires_at > func.now(), True)
    tokens = select(func.count()).where(owned, *good).scalar_subquery()
    used = select(func.max(token.c.used_at)).where(owned).scalar_subquery()
    seen = select(func.max(session.c.seen_at)).where(session.c.account_id == account_table.c.id).scalar_subquery()
    columns = account_table.c.email, account_table.c.name, account_table.c.is_admin, account_table.c.closed_at
    has_password = account_table.c.password_hash.is_not(None).label("has_password")
    told = tokens.label("tokens"), func.greatest(used, seen).label("seen_at")
    async with hub.database.single() as connection:
        return list((await connection.execute(select(*columns, has_password, *told).order_by(columns[0]))).all())
