"""What became of a join token; which ones still wait for their machines, and revoking one."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import delete, func, select

from dynolab.errors import Conflict, NotFound
from dynolab.hub.store.tables import device, join_token
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub


@dataclass(frozen=True, slots=True)
class Joining:
    """A join token: it waits for its machine, is too old, or was used by one, which may not have said yet what it is."""

    id: str
    name: str
    state: Literal["waiting", "expired", "joined"]
    created_at: datetime
    expires_at: datetime
    device_id: str | None = None
    device_name: str | None = None


async def find_join_token(hub: Hub, account: Account, id: str) -> Joining:
    """The account's own. Raises :class:`NotFound`, also for one that is long over."""
    mine = join_token.c.id == id, join_token.c.account_id == account.id
    columns = (join_token.c.name, join_token.c.token_id, join_token.c.created_at, join_token.c.expires_at)
    late = (join_token.c.expires_at <= func.now()).label("late")
    found = (
        select(*columns, late, device.c.id.label("device_id"), device.c.name.label("device_name"))
        .select_from(join_token.outerjoin(device, device.c.token_id == join_token.c.token_id))
        .where(*mine)
        .order_by(device.c.created_at)
        .limit(1)
    )
    async with hub.database.single() as connection:
        row = (await connection.execute(found)).one_or_none()
    if row is None:
        raise _no_such(id)
    state: Literal["waiting", "expired", "joined"] = "waiting"
    if row.token_id is not None:
        state = "joined"
    elif row.late:
        state = "expired"
    return Joining(id, row.name, state, row.created_at, row.expires_at, row.device_id, row.device_name)


async def find_join_tokens(hub: Hub, account: Account) -> list[Joining]:
    """The account's own that wait for their machines, those that end first before. Raises :class:`Forbidden` for a token that is bound to a project."""
    check_whole(account)
    waiting = (
        join_token.c.account_id == account.id,
        join_token.c.token_id.is_(None),
        join_token.c.expires_at > func.now(),
    )
    columns = join_token.c.id, join_token.c.name, join_token.c.created_at, join_token.c.expires_at
    found = select(*columns).where(*waiting).order_by(join_token.c.expires_at, join_token.c.id)
    async with hub.database.single() as connection:
        rows = (await connection.execute(found)).all()
    return [Joining(row.id, row.name, "waiting", row.created_at, row.expires_at) for row in rows]


async def revoke_join_token(hub: Hub, account: Account, id: str) -> str:
    """From now on no machine joins with it; the name that its device was to have.

    Raises :class:`Forbidden`, :class:`NotFound`, and :class:`Conflict` for one that a machine has joined with.
    """
    check_whole(account)
    mine = join_token.c.id == id, join_token.c.account_id == account.id
    async with hub.database.begin() as connection:
        row = (await connection.execute(select(join_token).where(*mine).with_for_update())).one_or_none()
        if row is None:
            raise _no_such(id)
        if row.token_id is not None:
            raise Conflict(
                f"a machine has joined with the join token {id} already",
                hint=f"revoke what it has now: `dynolab token revoke {row.token_id}`, or the page /account/",
            )
        await connection.execute(delete(join_token).where(*mine))
        await note(connection, "join-token.revoke", "join-token", id, details={"name": row.name})
        return str(row.name)


def _no_such(id: str) -> NotFound:
    return NotFound(f"there is no join token {id!r}", hint="it may be over for long: make a new one")
