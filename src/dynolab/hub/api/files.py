"""Bytes, by addresses that need no token beside them: parts and forms in, files out."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from dynolab.hub.api.digests import checked
from dynolab.hub.api.forms import file_of
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.open_link import open_read, open_upload
from dynolab.hub.usecases.read_blob import direct_address, read_blob
from dynolab.hub.usecases.store_part import store_part

FORM_FIELD = "file"


async def part(request: Request) -> Response:
    """``PUT`` one part of an upload: answered with the ``ETag`` that completes it."""
    link = await open_upload(_hub(request), request.path_params["token"], "part")
    chunks = checked(request.headers.get("content-digest"), request.stream())
    stored = await store_part(_hub(request), link, chunks, length=_length(request))
    return Response(status_code=200, headers={"ETag": f'"{stored.etag}"'})


async def form(request: Request) -> Response:
    """``POST`` a whole file as multipart/form-data, in the field ``file``."""
    link = await open_upload(_hub(request), request.path_params["token"], "form")
    await store_part(
        _hub(request), link, file_of(request.headers.get("content-type", ""), request.stream(), FORM_FIELD)
    )
    return Response(status_code=204)


async def blob(request: Request) -> Response:
    """``GET`` a file, or be led on to the store that has it (307)."""
    hub = _hub(request)
    blob_id = await open_read(hub, request.path_params["token"])
    if (address := await direct_address(hub, blob_id, request.path_params["name"])) is not None:
        return RedirectResponse(address, 307, {"Cache-Control": "no-store"})
    size, chunks = await read_blob(hub, blob_id)
    headers = {"Content-Length": str(size), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def _length(request: Request) -> int | None:
    length = request.headers.get("content-length")
    return int(length) if length and length.isdigit() else None


routes = [
    Route("/parts/{token}", part, methods=["PUT"]),
    Route("/forms/{token}", form, methods=["POST"]),
    Route("/blobs/{token}/{name}", blob, methods=["GET"]),
]
