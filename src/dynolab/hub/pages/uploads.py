"""Files that the page's script sends in parts: the addresses of the parts are those of the JSON API."""

from __future__ import annotations

from http import HTTPStatus

from sqlalchemy import Table
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from dynolab.errors import Error, NotFound, SpecInvalid
from dynolab.hub.pages.posted_forms import check_same_origin
from dynolab.hub.pages.rendering import HEADERS, words
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.store.tables import dataset as dataset_table
from dynolab.hub.store.tables import model as model_table
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.begin_upload import begin_upload
from dynolab.hub.usecases.complete_upload import complete_upload
from dynolab.hub.usecases.create_dataset import create_dataset
from dynolab.hub.usecases.create_model import create_model
from dynolab.hub.usecases.delete_dataset import delete_dataset
from dynolab.hub.usecases.delete_model import delete_model
from dynolab.hub.usecases.find_formats import find_formats
from dynolab.hub.usecases.find_models_and_datasets import find_model_or_dataset
from dynolab.hub.usecases.receive_file import check_dataset
from dynolab.hub.usecases.tell_format import END_BYTES, called, format_inside, format_of
from dynolab.spec import untrusted

_TABLES: dict[str, Table] = {"model": model_table, "dataset": dataset_table}


async def begin(request: Request) -> Response:
    """``POST /submit/uploads/WHAT?name=FILE&size=BYTES``: the addresses of the parts. The body is a ZIP file's end."""
    check_same_origin(request)
    hub, account = await current_account(request)
    what, name = request.path_params["what"], request.query_params.get("name", "")
    try:
        table, size = _table(what), _size(request)
        target_id = await _made(request, hub, account, what, name, size)
        try:
            begun = await begin_upload(hub, account, table, target_id, size=size)
        except Error:
            await _forget(hub, account, what, target_id)
            raise
    except Error as error:
        return _refused(request, error)
    urls = [f"/files/parts/{token}" for token in begun.tokens]
    document = {"id": target_id, "upload": begun.id, "part_bytes": begun.part_bytes or size, "urls": urls}
    return JSONResponse(document, HTTPStatus.CREATED, HEADERS)


async def complete(request: Request) -> Response:
    """``POST /submit/uploads/WHAT/ID/complete`` with ``{"upload": ..., "etags": [...]}``."""
    check_same_origin(request)
    hub, account = await current_account(request)
    try:
        document = untrusted.load_document(await request.body())
        upload_id, etags = str(document["upload"]), [str(one) for one in document["etags"]]
    except (ValueError, KeyError, TypeError) as error:
        return _refused(request, SpecInvalid(f"the upload cannot be completed: {type(error).__name__}"))
    target_id, table = request.path_params["id"], _table(request.path_params["what"])
    try:
        await complete_upload(hub, account, table, target_id, upload_id=upload_id, etags=etags)
    except Error as error:
        return _refused(request, error)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def give_up(request: Request) -> Response:
    """``POST /submit/uploads/WHAT/ID/give-up``: what has come of it goes. Not for what is complete."""
    check_same_origin(request)
    hub, account = await current_account(request)
    what, target_id = request.path_params["what"], request.path_params["id"]
    try:
        if (await find_model_or_dataset(hub, account, _table(what), target_id)).blob_id is None:
            await _forget(hub, account, what, target_id)
    except Error as error:
        return _refused(request, error)
    return Response(status_code=HTTPStatus.NO_CONTENT)


async def _made(request: Request, hub: Hub, account: Account, what: str, name: str, size: int) -> str:
    """The id of a new model or dataset, whose bytes are to come."""
    if what == "dataset":
        check_dataset(name)
        return (await create_dataset(hub, account, name=called(name)))[0]
    endings = (await find_formats(hub, account)).endings
    told = format_of(name, endings)
    kind = told or format_inside(name, await _end(request), size, endings)
    return (await create_model(hub, account, name=called(name), kind=kind, is_directory=told is None))[0]


def _table(what: str) -> Table:
    if what not in _TABLES:
        raise NotFound(f"no {what[:100]!r} is uploaded here")
    return _TABLES[what]


async def _end(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > END_BYTES:
            raise SpecInvalid(f"more than {END_BYTES} bytes of a file's end came")
    return bytes(body)


async def _forget(hub: Hub, account: Account, what: str, target_id: str) -> None:
    await (delete_model if what == "model" else delete_dataset)(hub, account, target_id)


def _size(request: Request) -> int:
    text = request.query_params.get("size", "")
    if not text.isdecimal() or len(text) > 18:
        raise SpecInvalid(f"size={text[:100]!r} is no number of bytes")
    return int(text)


def _refused(request: Request, error: Error) -> Response:
    """A refusal that the page's script shows beside the field."""
    return JSONResponse({"problem": words(request, error)}, error.http_status, HEADERS)


routes = [
    Route("/submit/uploads/{what}", begin, methods=["POST"]),
    Route("/submit/uploads/{what}/{id}/complete", complete, methods=["POST"]),
    Route("/submit/uploads/{what}/{id}/give-up", give_up, methods=["POST"]),
]
