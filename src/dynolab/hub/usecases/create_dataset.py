"""A dataset is made known; its bytes come with an upload."""

from __future__ import annotations

from datetime import datetime, timedelta

from sqlalchemy import func, insert

from dynolab.hub.store.tables import dataset
from dynolab.hub.usecases import bounds
from dynolab.hub.usecases.base import Account, Hub, checked_name, new_id
from dynolab.hub.usecases.place import find_place


async def create_dataset(
    hub: Hub, account: Account, *, name: str, permanent: bool = False, project_id: str = ""
) -> tuple[str, datetime, datetime | None]:
    """The new dataset's id, instant, and end (None: it is kept until it is deleted)."""
    bounds.check_text(project_id, "project_id")
    values = {
        "id": new_id("d"),
        "account_id": account.id,
        "name": checked_name(name, "dataset") or "dataset",
        "expires_at": None if permanent else func.now() + timedelta(days=hub.limits.dataset_life_days),
    }
    async with hub.database.begin() as connection:
        place = await find_place(connection, account, project_id)
        made = (
            insert(dataset)
            .values(**values, **place.columns)
            .returning(dataset.c.id, dataset.c.created_at, dataset.c.expires_at)
        )
        row = (await connection.execute(made)).one()
    return row.id, row.created_at, row.expires_at
