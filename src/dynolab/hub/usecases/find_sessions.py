"""The browsers that an account is signed in with."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, func, select
from sqlalchemy.sql import Select

from dynolab.hub.store.tables import session, token
from dynolab.hub.usecases.base import Account, Hub


async def find_sessions(hub: Hub, account: Account) -> list[Row[Any]]:
    """All of them: the one that asks, then the one that was seen last first; with the ``token_label`` of the token that opened it, if one did."""
    columns = (session.c.id, session.c.way, session.c.browser)
    instants = (session.c.created_at, session.c.seen_at, session.c.expires_at)
    # Who asks with a token that is bound to a project is told of what that opened, and of nothing else of the account.
    told = [] if not account.is_bound else [session.c.token_id == account.token_id]
    mine: Select[Any] = (
        select(*columns, *instants, session.c.token_id, token.c.label.label("token_label"))
        .outerjoin(token, token.c.id == session.c.token_id)
        .where(session.c.account_id == account.id, session.c.expires_at > func.now(), *told)
        .order_by(session.c.id != account.session_id, session.c.seen_at.desc(), session.c.id)
    )
    async with hub.database.single() as connection:
        return list((await connection.execute(mine)).all())
