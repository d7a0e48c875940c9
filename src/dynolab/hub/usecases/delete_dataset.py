"""A dataset is deleted, with its bytes."""

from __future__ import annotations

from dynolab.hub.store.tables import dataset
from dynolab.hub.usecases.access import find_owned
from dynolab.hub.usecases.audit import note
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.delete_model import mark_deleted
from dynolab.hub.usecases.free_blobs import free_blobs


async def delete_dataset(hub: Hub, account: Account, dataset_id: str) -> None:
    """As a model is, also one that a job made: see :func:`~dynolab.hub.usecases.delete_model.delete_model`."""
    async with hub.database.begin() as connection:
        row = await find_owned(connection, dataset, dataset_id, account, "delete", lock="own")
        keys = await mark_deleted(hub, connection, dataset, row)
        await note(connection, "dataset.delete", "dataset", dataset_id, details={"name": row.name})
    await hub.blobs.delete(keys)
    await free_blobs(hub, [row.blob_id] if row.blob_id else [])
