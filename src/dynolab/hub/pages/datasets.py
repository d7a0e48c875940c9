"""Datasets: the list, and a page for each."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from dynolab.hub.pages.models_and_datasets import Collection, routes_of, uses
from dynolab.hub.store.tables import dataset as dataset_table
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.delete_dataset import delete_dataset
from dynolab.hub.usecases.find_jobs import JobFilter
from dynolab.hub.usecases.find_tensors import find_dataset_entries

ENDING = ".h5"


async def _details(hub: Hub, account: Account, row: Row[Any]) -> dict[str, Any]:
    """Its entries, the job that made it, and those that used it."""
    return {
        "known": await find_dataset_entries(hub, account, row),
        "makers": await uses(hub, account, JobFilter(output_dataset_id=row.id)),
        "uses": await uses(hub, account, JobFilter(dataset_id=row.id)),
    }


def _ending(row: Row[Any]) -> str:
    return ENDING


routes = routes_of(Collection(dataset_table, _details, _ending, delete_dataset))
