"""A dataset is made known; its bytes come with an upload."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import insert

from dynolab.hub.store.tables import dataset
from dynolab.hub.usecases.base import Account, Hub, checked_name, new_id


async def create_dataset(
    hub: Hub, account: Account, *, name: str, permanent: bool = False, project_id: str = ""
) -> tuple[str, datetime, datetime | None]:
    """The new dataset's id, instant, and end (None: it is kept until it is deleted)."""
    expires_at = None if permanent else datetime.now(UTC) + timedelta(days=hub.limits.dataset_life_days)
    values = {
        "id": new_id("d"),
        "account_id": account.id,
        "name": checked_name(name, "dataset") or "dataset",
        "project_id": project_id,
        "expires_at": expires_at,
    }
    async with hub.database.begin() as connection:
        row = (
            await connection.execute(insert(dataset).values(values).returning(dataset.c.id, dataset.c.created_at))
        ).one()
    return row.id, row.created_at, expires_at
