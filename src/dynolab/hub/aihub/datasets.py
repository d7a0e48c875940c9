"""Datasets: made, uploaded as a form, shown, downloaded."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import Conflict
from dynolab.hub.aihub.models import download_url
from dynolab.hub.aihub.replies import body, created, flag, number, protobuf, timestamp, who
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.store.tables import dataset as dataset_table
from dynolab.hub.usecases.begin_upload import begin_upload
from dynolab.hub.usecases.complete_upload import complete_upload
from dynolab.hub.usecases.create_dataset import create_dataset
from dynolab.hub.usecases.find_models_and_datasets import find_model_or_dataset, list_models_or_datasets

FIELD = "file"


def message(row: Row[Any]) -> pb.Dataset:
    """A dataset; without an end it is kept for good."""
    found = pb.Dataset(
        dataset_id=row.id,
        owner=pb.User(id=row.account_id, email=row.email, first_name=row.owner_name),
        name=row.name,
        creation_time=timestamp(row.created_at),
        file_upload_complete=row.blob_id is not None,
        read_only=False,
        permanent=row.expires_at is None,
        project_id=row.project_id,
    )
    if row.expires_at is not None:
        found.expiration_time.CopyFrom(timestamp(row.expires_at))
    return found


async def create(request: Request) -> Response:
    """``POST datasets/``: the reply tells the end, without which a client takes the dataset for expired."""
    hub, account = await who(request)
    asked = await body(request, pb.Dataset())
    project = request.path_params.get("project", asked.project_id)
    made = await create_dataset(hub, account, name=asked.name, permanent=asked.permanent, project_id=project)
    return created(*made)


async def listing(request: Request) -> Response:
    """``GET datasets/``."""
    hub, account = await who(request)
    limit, offset = number(request, "limit", 50, 1000), number(request, "offset", 0, 1 << 31)
    rows, total = await list_models_or_datasets(hub, account, dataset_table, limit=limit, offset=offset)
    return protobuf(pb.DatasetList(datasets=map(message, rows), total_query_count=total))


async def show(request: Request) -> Response:
    """``GET datasets/ID/``."""
    hub, account = await who(request)
    return protobuf(message(await find_model_or_dataset(hub, account, dataset_table, request.path_params["id"])))


async def begin(request: Request) -> Response:
    """``GET datasets/ID/upload_url/``: one form takes the whole file."""
    hub, account = await who(request)
    size = number(request, "file_size", 0, 1 << 62) or None
    begun = await begin_upload(
        hub, account, dataset_table, request.path_params["id"], size=size, verb="form", direct=True
    )
    if begun.form is not None:
        answer = pb.FileUploadURL(url=begun.form.url, file_field_name=FIELD, fields=begun.form.fields)
    else:
        url = f"{request.app.state.base_url(request)}files/forms/{begun.tokens[0]}"
        answer = pb.FileUploadURL(url=url, file_field_name=FIELD)
    return protobuf(pb.FileUploadResponse(url=answer) if flag(request, "supports_s3_credentials") else answer)


async def confirm(request: Request) -> Response:
    """``PATCH datasets/ID/``: said twice, it is done once."""
    hub, account = await who(request)
    await body(request, pb.Dataset())
    await complete_upload(hub, account, dataset_table, request.path_params["id"])
    return protobuf(pb.CreateUpdateResponse(id=request.path_params["id"]))


async def download(request: Request) -> Response:
    """``GET datasets/ID/download_data/``."""
    hub, account = await who(request)
    row = await find_model_or_dataset(hub, account, dataset_table, request.path_params["id"])
    if row.blob_id is None:
        raise Conflict(f"the dataset {row.id} has no bytes: its upload did not end well")
    return download_url(request, account, "dataset", row.id, row.name.removesuffix(".h5"), ".h5")


routes = [
    Route("/datasets/", create, methods=["POST"]),
    Route("/datasets/", listing),
    Route("/projects/{project}/datasets/", create, methods=["POST"]),
    Route("/datasets/{id}/", show),
    Route("/datasets/{id}/", confirm, methods=["PATCH"]),
    Route("/datasets/{id}/upload_url/", begin),
    Route("/datasets/{id}/download_data/", download),
]
