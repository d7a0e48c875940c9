"""Bytes, by addresses that authorise themselves: parts and forms in, blobs out, and what attempts leave."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from dynolab.errors import NotFound
from dynolab.hub.api.digests import checked
from dynolab.hub.api.forms import file_of
from dynolab.hub.store.links import Link
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.read_blob import read_blob
from dynolab.hub.usecases.store_file import COLUMNS, store_file
from dynolab.hub.usecases.store_part import store_part

FORM_FIELD = "file"


async def part(request: Request) -> Response:
    """``PUT`` one part of an upload: answered with the ``ETag`` that completes it."""
    link = _link(request, "part")
    chunks = checked(request.headers.get("content-digest"), request.stream())
    stored = await store_part(_hub(request), link, chunks, length=_length(request))
    return Response(status_code=200, headers={"ETag": f'"{stored.etag}"'})


async def form(request: Request) -> Response:
    """``POST`` a whole file as multipart/form-data, in the field ``file``."""
    link = _link(request, "form")
    await store_part(
        _hub(request), link, file_of(request.headers.get("content-type", ""), request.stream(), FORM_FIELD)
    )
    return Response(status_code=204)


async def blob(request: Request) -> Response:
    """``GET`` a blob."""
    size, chunks = await read_blob(_hub(request), _link(request, "read").target)
    headers = {"Content-Length": str(size), "X-Content-Type-Options": "nosniff"}
    return StreamingResponse(chunks, media_type="application/octet-stream", headers=headers)


async def attempt_file(request: Request) -> Response:
    """``PUT`` what an attempt leaves: its result, output, artifact or log."""
    verb = request.path_params["verb"]
    if verb not in COLUMNS:
        raise NotFound(f"an attempt leaves no {verb}")
    await store_file(_hub(request), _link(request, verb), request.stream())
    return PlainTextResponse("", 204)


def _hub(request: Request) -> Hub:
    hub: Hub = request.app.state.hub
    return hub


def _link(request: Request, verb: str) -> Link:
    link = _hub(request).links.read(request.path_params["token"], verb)
    if link is None:
        raise NotFound("this address is not valid, or not any more", hint="ask for a new one")
    return link


def _length(request: Request) -> int | None:
    length = request.headers.get("content-length")
    return int(length) if length and length.isdigit() else None


routes = [
    Route("/parts/{token}", part, methods=["PUT"]),
    Route("/forms/{token}", form, methods=["POST"]),
    Route("/blobs/{token}/{name}", blob, methods=["GET"]),
    Route("/attempts/{verb}/{token}", attempt_file, methods=["PUT"]),
]
