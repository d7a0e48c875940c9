"""Datasets: made, uploaded in parts, listed, downloaded, deleted."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from sqlalchemy import Row

from dynolab.errors import Conflict
from dynolab.hub.api import common
from dynolab.hub.api.common import PAGE, Before, Caller, Filter, Limit, TheHub
from dynolab.hub.api.schemas import Change, Dataset, DatasetAsked, Datasets, Download, Upload, UploadAsked, UploadDone
from dynolab.hub.api.sharing import sharing_routes
from dynolab.hub.store import tables
from dynolab.hub.usecases.begin_upload import begin_upload, renew_addresses
from dynolab.hub.usecases.complete_upload import complete_upload
from dynolab.hub.usecases.create_dataset import create_dataset
from dynolab.hub.usecases.cursors import cut_page, decode_cursor
from dynolab.hub.usecases.delete_dataset import delete_dataset
from dynolab.hub.usecases.find_models_and_datasets import (
    ModelOrDatasetFilter,
    find_model_or_dataset,
    narrow_to_project,
    page_models_or_datasets,
)
from dynolab.hub.usecases.place import names_for
from dynolab.hub.usecases.rename import rename as give_name

router = APIRouter(prefix="/datasets", tags=["datasets"])
sharing_routes(router, tables.dataset)


async def _read(hub: TheHub, account: Caller, id: str) -> Dataset:
    row = await find_model_or_dataset(hub, account, tables.dataset, id)
    return _shown(row, await names_for(hub, account, [row]))


def _shown(row: Row[Any], projects: dict[str, str]) -> Dataset:
    return Dataset(
        id=row.id,
        name=row.name,
        owner=row.email,
        project_id=row.project_id,
        project=projects.get(row.in_project or ""),
        created_at=row.created_at,
        has_bytes=row.blob_id is not None,
        size_bytes=row.size_bytes,
        permanent=row.expires_at is None,
        expires_at=row.expires_at,
    )


@router.post("", status_code=201)
async def create(hub: TheHub, account: Caller, asked: DatasetAsked) -> Dataset:
    """Make a dataset known; its bytes, an HDF5 file, come with an upload."""
    dataset_id, *_ = await create_dataset(
        hub, account, name=asked.name, permanent=asked.permanent, project_id=asked.project_id
    )
    return await _read(hub, account, dataset_id)


@router.get("")
async def listing(
    hub: TheHub,
    account: Caller,
    name: Filter = "",
    creator: Filter = "",
    project: Filter = "",
    limit: Limit = PAGE,
    before: Before = None,
) -> Datasets:
    """A page of the datasets that the account may see, newest first.

    `name`: a part of the name, in any case; `creator`: the owner's e-mail address or name;
    `project`: a project, by id or `ORGANISATION.PROJECT`; or a label.
    """
    wanted = ModelOrDatasetFilter(name=name, creator=creator)
    wanted = await narrow_to_project(hub, account, wanted, project)
    rows = await page_models_or_datasets(
        hub, account, tables.dataset, wanted, limit=limit + 1, cursor=decode_cursor(before)
    )
    page, following = cut_page(rows, limit)
    projects = await names_for(hub, account, page)
    return Datasets(datasets=[_shown(row, projects) for row in page], next=following)


@router.get("/{id}")
async def show(hub: TheHub, account: Caller, id: str) -> Dataset:
    """One dataset."""
    return await _read(hub, account, id)


@router.patch("/{id}")
async def rename(hub: TheHub, account: Caller, id: str, asked: Change) -> Dataset:
    """Give a dataset another name."""
    await give_name(hub, account, tables.dataset, id, asked.name)
    return await _read(hub, account, id)


@router.post("/{id}/uploads", status_code=201)
async def begin(request: Request, hub: TheHub, account: Caller, id: str, asked: UploadAsked) -> Upload:
    """Begin an upload: every part is PUT to its address. One that is not complete within a day is dropped."""
    begun = await begin_upload(hub, account, tables.dataset, id, size=asked.size, direct=True)
    return common.upload(request, begun, asked.size)


@router.post("/{id}/uploads/{upload_id}/addresses")
async def addresses(request: Request, hub: TheHub, account: Caller, id: str, upload_id: str) -> Upload:
    """Addresses of the same upload's parts that are good from now on: those of before may have run out."""
    begun = await renew_addresses(hub, account, tables.dataset, id, upload_id)
    return common.upload(request, begun, begun.part_bytes or 0)


@router.post("/{id}/uploads/{upload_id}/complete")
async def complete(hub: TheHub, account: Caller, id: str, upload_id: str, asked: UploadDone) -> Dataset:
    """Join the parts; said twice, it is done once."""
    await complete_upload(hub, account, tables.dataset, id, upload_id=upload_id, etags=asked.etags)
    return await _read(hub, account, id)


@router.get("/{id}/download")
async def download(request: Request, hub: TheHub, account: Caller, id: str) -> Download:
    """Where the dataset's file is to be had."""
    row = await find_model_or_dataset(hub, account, tables.dataset, id)
    if row.blob_id is None:
        raise Conflict(f"the dataset {row.id} has no bytes yet", hint="complete its upload first")
    return await common.download(request, account, "dataset", row.id, row.blob_id, row.name, ".h5")


@router.delete("/{id}", status_code=204)
async def delete(hub: TheHub, account: Caller, id: str) -> None:
    """Delete a dataset and its bytes; 409 while a job that is not over uses it."""
    await delete_dataset(hub, account, id)
