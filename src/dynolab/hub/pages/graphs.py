"""A model's graph in Netron, which ships as a package of its own, with the times of a profile's layers beside it.

Netron reads the file in the visitor's browser. Its frame may run only Netron's own scripts and ask only for the model.
"""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import FileResponse, Response, StreamingResponse
from starlette.routing import Route

from dynolab.errors import NotFound, PluginMissing
from dynolab.hub.pages.jobs import line
from dynolab.hub.pages.rendering import page
from dynolab.hub.pages.visitors import the_hub, visitor
from dynolab.hub.store.links import Link
from dynolab.hub.store.tables import model as model_table
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.create_model import file_name
from dynolab.hub.usecases.find_jobs import JobFilter, find_job, page_jobs
from dynolab.hub.usecases.find_stored import find_stored
from dynolab.hub.usecases.read_blob import read_blob
from dynolab.hub.usecases.read_profile import read_profile
from dynolab.report.html.view import LayerRow, view

LIFE_S = 3600
SHOWN_LAYERS = 500
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".ico": "image/x-icon",
}


async def show(request: Request) -> Response:
    """``GET /models/ID/graph``, with ``job`` for whose layers to show beside it; else the newest profile of the model."""
    hub, account = await visitor(request)
    row = await find_stored(hub, account, model_table, request.path_params["id"])
    if row.blob_id is None:
        raise NotFound(f"the model {row.id} has no file: its upload was not completed")
    _folder()
    name = file_name(row.name, row.kind, row.is_directory)
    token = hub.links.sign(Link("graph", row.blob_id))
    frame = "/graph/viewer/index.html?" + urlencode({"url": f"/graph/file/{token}/{quote(name)}", "identifier": name})
    job, layers = await _layers(hub, account, row.id, request.query_params.get("job", ""))
    return await page(
        request,
        "graph.html.j2",
        account,
        model=row,
        frame=frame,
        job=None if job is None else line(job),
        layers=layers[:SHOWN_LAYERS],
        more=len(layers) - SHOWN_LAYERS,
    )


async def _layers(hub: Hub, account: Account, model_id: str, job_id: str) -> tuple[Row[Any] | None, list[LayerRow]]:
    """A job, and its layers, heaviest first."""
    job: Row[Any] | None
    if job_id:
        job = await find_job(hub, account, job_id)
    else:
        found = await page_jobs(hub, account, JobFilter(states=["done"], model_id=model_id), limit=1)
        job = found[0] if found else None
    profile = None if job is None else await read_profile(hub, job)
    if profile is None:
        return job, []
    seen = await asyncio.to_thread(view, profile, "", 1, many=False)
    return job, [layer for chunk in seen.layers.chunks for layer in chunk]


async def viewer(request: Request) -> Response:
    """``GET /graph/viewer/NAME``: Netron's own files."""
    path = _folder() / request.path_params["name"]
    if path.suffix not in TYPES or path.parent != _folder() or not path.is_file():
        raise NotFound(f"the viewer has no {request.path_params['name']!r}")
    policy = (
        f"default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        f"connect-src {request.url.scheme}://{request.url.netloc}/graph/; worker-src 'self'; font-src 'self'; "
        "form-action 'none'; base-uri 'none'; frame-ancestors 'self'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cache-Control": "private, max-age=86400",
    }
    if path.name != "index.html":
        return FileResponse(path, headers=headers, media_type=TYPES[path.suffix])
    answer = Response(_alone(path.read_text(encoding="utf-8")), headers=headers, media_type=TYPES[path.suffix])
    answer.set_cookie("consent", "none", path="/graph/viewer/", samesite="strict")  # it need not ask: nothing is sent
    return answer


def _alone(page: str) -> str:
    """Netron's page as one that reports nothing (as an unreleased version) and does not ask to be updated (made today)."""
    for name, value in (("version", "0.0.0"), ("date", datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S"))):
        page = re.sub(rf'(<meta name="{name}" content=")[^"]*(">)', rf"\g<1>{value}\g<2>", page)
    return page


async def file(request: Request) -> Response:
    """``GET /graph/file/TOKEN/NAME``: the model, by an address that authorises itself."""
    hub = the_hub(request)
    link = hub.links.read(request.path_params["token"], "graph", life_s=LIFE_S)
    if link is None:
        raise NotFound("this address is not valid, or not any more", hint="load the page anew")
    size, chunks = await read_blob(hub, link.target)
    headers = {"Content-Length": str(size), "X-Content-Type-Options": "nosniff", "Cache-Control": "no-store"}
    return StreamingResponse(chunks, headers=headers, media_type="application/octet-stream")


@cache
def _folder() -> Path:
    """Where Netron's files lie. Raises :class:`PluginMissing`."""
    found = find_spec("netron")
    if found is None or found.origin is None:
        raise PluginMissing("the graph's viewer is not installed on the hub", hint="pip install netron")
    return Path(found.origin).parent


routes = [
    Route("/models/{id}/graph", show),
    Route("/graph/viewer/{name}", viewer),
    Route("/graph/file/{token}/{name}", file),
]
