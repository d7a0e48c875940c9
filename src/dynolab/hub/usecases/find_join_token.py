"""What became of a join token."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from sqlalchemy import func, select

from dynolab.errors import NotFound
from dynolab.hub.store.tables import device, join_token
from dynolab.hub.usecases.base import Account, Hub


@dataclass(frozen=True, slots=True)
class Joining:
    """A join token: it waits for its machine, is too old, or was used by one, which may not have said yet what it is."""

    id: str
    name: str
    state: Literal["waiting", "expired", "joined"]
    expires_at: datetime
    device_id: str | None
    device_name: str | None


async def find_join_token(hub: Hub, account: Account, id: str) -> Joining:
    """The account's own. Raises :class:`NotFound`, also for one that is long over."""
    mine = join_token.c.id == id, join_token.c.account_id == account.id
    columns = (join_token.c.name, join_token.c.token_id, join_token.c.expires_at)
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
        raise NotFound(f"there is no join token {id!r}", hint="it may be over for long: make a new one")
    state: Literal["waiting", "expired", "joined"] = "waiting"
    if row.token_id is not None:
        state = "joined"
    elif row.late:
        state = "expired"
    return Joining(id, row.name, state, row.expires_at, row.device_id, row.device_name)
