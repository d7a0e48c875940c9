"""Models: made, uploaded in parts, shown, downloaded."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import Conflict, SpecInvalid
from dynolab.hub.aihub.replies import body, created, flag, number, protobuf, timestamp, who
from dynolab.hub.aihub.tensors import tell_specs
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.store.tables import model as model_table
from dynolab.hub.usecases.base import Account
from dynolab.hub.usecases.begin_upload import begin_upload
from dynolab.hub.usecases.complete_upload import complete_upload
from dynolab.hub.usecases.create_model import create_model, ending_of
from dynolab.hub.usecases.find_models_and_datasets import find_model_or_dataset, list_models_or_datasets
from dynolab.hub.usecases.open_link import link_file

KINDS = {
    pb.MODEL_TYPE_TORCHSCRIPT: "torchscript",
    pb.MODEL_TYPE_MLMODEL: "mlmodel",
    pb.MODEL_TYPE_TFLITE: "tflite",
    pb.MODEL_TYPE_MLMODELC: "mlmodelc",
    pb.MODEL_TYPE_ONNX: "onnx",
    pb.MODEL_TYPE_ORT: "ort",
    pb.MODEL_TYPE_MLPACKAGE: "mlpackage",
    pb.MODEL_TYPE_TETRART: "tensorrt",
    pb.MODEL_TYPE_QNN_LIB_AARCH64_ANDROID: "qnn_lib_aarch64_android",
    pb.MODEL_TYPE_QNN_CONTEXT_BINARY: "qnn_context_binary",
    pb.MODEL_TYPE_AIMET_ONNX: "aimet_onnx",
    pb.MODEL_TYPE_AIMET_PT: "aimet_pt",
    pb.MODEL_TYPE_QNN_LIB_X86_64_LINUX: "qnn_lib_x86_64_linux",
    pb.MODEL_TYPE_QNN_DLC: "qnn_dlc",
    pb.MODEL_TYPE_TORCH_EXPORTED_PROGRAM: "exported_program",
}
"""The protocol's ModelType."""
NUMBERS = {kind: number for number, kind in KINDS.items()} | {
    "precompiled_qnn_onnx": pb.MODEL_TYPE_ONNX,
    "aot_inductor": pb.MODEL_TYPE_TORCH_EXPORTED_PROGRAM,
}


def message(row: Row[Any]) -> pb.Model:
    """A model; an unknown kind would break a client's whole list, so it is left unset."""
    found = pb.Model(
        model_id=row.id,
        owner=pb.User(id=row.account_id, email=row.email, first_name=row.owner_name),
        name=row.name,
        creation_time=timestamp(row.created_at),
        file_upload_complete=row.blob_id is not None,
        producer_id=row.producer_id,
        read_only=False,
        is_directory=row.is_directory,
        project_id=row.project_id,
    )
    if row.kind in NUMBERS:
        found.model_type = NUMBERS[row.kind]
    tell_specs(found, row.tensors)
    return found


def made_model(row: Row[Any]) -> pb.Model:
    """The model that the job of this row makes, or is still to make."""
    found = pb.Model(
        model_id=row.target_model_id,
        owner=pb.User(id=row.account_id, email=row.email, first_name=row.owner_name),
        name=row.target_name,
        creation_time=timestamp(row.target_created_at),
        file_upload_complete=row.target_blob_id is not None,
        producer_id=row.id,
        is_directory=row.target_is_directory,
        project_id=row.project_id,
    )
    if row.target_kind in NUMBERS:
        found.model_type = NUMBERS[row.target_kind]
    tell_specs(found, row.target_tensors)
    return found


async def create(request: Request) -> Response:
    """``POST models/``."""
    hub, account = await who(request)
    asked = await body(request, pb.Model())
    if asked.model_type not in KINDS:
        raise SpecInvalid(f"the model type {asked.model_type} is not known")
    model_id, at = await create_model(
        hub,
        account,
        name=asked.name,
        kind=KINDS[asked.model_type],
        is_directory=asked.is_directory,
        project_id=request.path_params.get("project", ""),
    )
    return created(model_id, at)


async def listing(request: Request) -> Response:
    """``GET models/``."""
    hub, account = await who(request)
    rows, total = await list_models_or_datasets(
        hub,
        account,
        model_table,
        project=request.path_params.get("project", ""),
        producer_id=request.query_params.get("producer", ""),
        limit=number(request, "limit", 50, 1000),
        offset=number(request, "offset", 0, 1 << 31),
    )
    return protobuf(pb.ModelList(models=map(message, rows), total_query_count=total))


async def show(request: Request) -> Response:
    """``GET models/ID/``."""
    hub, account = await who(request)
    return protobuf(message(await find_model_or_dataset(hub, account, model_table, request.path_params["id"])))


async def begin(request: Request) -> Response:
    """``GET models/ID/multipart_upload/``: the address of each part."""
    hub, account = await who(request)
    size = number(request, "file_size", 0, 1 << 62)
    model_id = request.path_params["id"]
    begun = await begin_upload(hub, account, model_table, model_id, size=size, direct=True, asks_again=False)
    urls = begun.addresses(request.app.state.base_url(request))
    answer = pb.FileMultipartUploadURL(urls=urls, upload_id=begun.id, max_part_size=begun.part_bytes or size)
    wrapped = flag(request, "supports_s3_credentials")
    return protobuf(pb.FileUploadResponse(multipart_url=answer) if wrapped else answer)


async def complete(request: Request) -> Response:
    """``POST models/ID/multipart_upload/``: said twice, it is done once."""
    hub, account = await who(request)
    asked = await body(request, pb.FileMultipartUploadComplete())
    model_id = request.path_params["id"]
    await complete_upload(hub, account, model_table, model_id, upload_id=asked.upload_id, etags=asked.etags)
    return protobuf(pb.CreateUpdateResponse(id=model_id))


async def download(request: Request) -> Response:
    """``GET models/ID/download/``."""
    hub, account = await who(request)
    row = await find_model_or_dataset(hub, account, model_table, request.path_params["id"])
    if row.blob_id is None:
        raise Conflict(f"the model {row.id} has no bytes: its upload or the job that was to make it did not end well")
    ending = ending_of(row.kind) + (".zip" if row.is_directory else "")
    return download_url(request, account, "model", row.id, row.name, ending)


def download_url(request: Request, account: Account, verb: str, target_id: str, name: str, ending: str) -> Response:
    """Address and name of a file of the account's or shared with it."""
    path, file = link_file(request.app.state.hub, account, verb, target_id, name, ending)
    answer = pb.FileDownloadURL(url=request.app.state.base_url(request) + path, filename=file)
    wrapped = flag(request, "supports_s3_credentials")
    return protobuf(pb.FileDownloadResponse(url=answer) if wrapped else answer)


routes = [
    Route("/models/", create, methods=["POST"]),
    Route("/models/", listing),
    Route("/projects/{project}/models/", create, methods=["POST"]),
    Route("/projects/{project}/models/", listing),
    Route("/models/{id}/", show),
    Route("/models/{id}/multipart_upload/", begin),
    Route("/models/{id}/multipart_upload/", complete, methods=["POST"]),
    Route("/models/{id}/download/", download),
]
