"""A job, model or dataset gets another name."""

from __future__ import annotations

from sqlalchemy import Table, func, update

from dynolab.errors import SpecInvalid
from dynolab.hub.usecases.access import find_owned
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub, checked_name


async def rename(hub: Hub, account: Account, table: Table, target_id: str, name: str) -> None:
    """Raises :class:`NotFound`, :class:`Forbidden` for another's, and :class:`SpecInvalid` for a name that is none."""
    kept = checked_name(name, table.name)
    if not kept:
        raise SpecInvalid(f"a {table.name}'s name cannot be empty")
    changed = {"updated_at": func.now()} if "updated_at" in table.c else {}
    async with hub.database.begin() as connection:
        row = await find_owned(connection, table, target_id, account, "rename", lock="own")
        await note(
            connection, f"{table.name}.rename", table.name, target_id, details={"name": kept, "before": row.name}
        )
        await connection.execute(update(table).where(table.c.id == target_id).values(name=kept, **changed))
