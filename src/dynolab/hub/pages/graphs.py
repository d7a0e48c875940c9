"""A model's graph in Netron, which ships as a package of its own, with the times of a profile's layers beside it.

Netron reads the file in the visitor's browser. Its frame may run only Netron's own scripts and ask only for the model.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
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

from dynolab.errors import Error, NotFound, PluginMissing, SpecInvalid
from dynolab.hub.pages.jobs import JobLine, line
from dynolab.hub.pages.rendering import page, say
from dynolab.hub.pages.sessions import current_account, the_hub
from dynolab.hub.store.tables import model as model_table
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.create_model import file_name
from dynolab.hub.usecases.find_jobs import JobFilter, find_job, page_jobs
from dynolab.hub.usecases.find_models_and_datasets import find_model_or_dataset
from dynolab.hub.usecases.open_link import open_read, sign_link
from dynolab.hub.usecases.read_blob import read_blob
from dynolab.hub.usecases.read_profile import read_profile
from dynolab.report.html.bounded import bounded
from dynolab.report.html.layers import LayerRow, LayersView, layer_rows, layers_view
from dynolab.spec.layer_names import node_names
from dynolab.spec.measurements import Layer

SHOWN_CHUNKS = 5
"""Of a hundred layers each."""
NEWEST_JOBS = 20
TYPES = {
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".json": "application/json",
    ".png": "image/png",
    ".ico": "image/x-icon",
}


@dataclass(frozen=True, slots=True)
class Times:
    """What stands beside the graph: a job's layers, heaviest first, and the jobs to choose from."""

    jobs: list[JobLine]
    job: JobLine | None = None
    layers: LayersView | None = None
    rows: Sequence[tuple[LayerRow, str, str]] = ()
    """Each layer with its whole name, and with the names that its nodes may bear in the file (JSON)."""
    total_ns: int = 0
    chosen: int | None = None
    """The number of the layer to show in the graph."""
    trouble: Error | None = None
    """Why the job's profile cannot be read."""

    @property
    def left_out(self) -> bool:
        """Whether there are more layers than rows."""
        return self.layers is not None and self.layers.count > len(self.rows)


async def show(request: Request) -> Response:
    """``GET /models/ID/graph``, with ``job`` for whose layers to show beside it (else the newest) and ``layer`` for one to show."""
    hub, account = await current_account(request)
    row = await find_model_or_dataset(hub, account, model_table, request.path_params["id"])
    if row.blob_id is None:
        raise NotFound(f"the model {row.id} has no file: its upload was not completed")
    _folder()
    name = file_name(row.name, row.kind, row.is_directory)
    token = sign_link(hub, account, "model", row.id)
    frame = "/graph/viewer/index.html?" + urlencode({"url": f"/graph/file/{token}/{quote(name)}", "identifier": name})
    job, jobs = await _jobs(hub, account, row.id, request.query_params.get("job", ""))
    times = Times(jobs) if job is None else await _times(hub, job, jobs, request)
    return await page(request, "graph.html.j2", account, model=row, frame=frame, times=times)


async def _jobs(hub: Hub, account: Account, model_id: str, wanted: str) -> tuple[Row[Any] | None, list[JobLine]]:
    """The job whose layers are wanted, else the newest that measured the model; and the newest, that one among them."""
    found = await page_jobs(hub, account, JobFilter(model_id=model_id, measured=True), limit=NEWEST_JOBS)
    job = await find_job(hub, account, wanted) if wanted else next(iter(found), None)
    if job is not None and job.model_id != model_id:
        raise SpecInvalid(
            f"the job {job.id} measured another model, {job.model_id}",
            hint=f"its layers are beside that one's graph: /models/{job.model_id}/graph?job={job.id}",
        )
    if job is not None and all(job.id != one.id for one in found):
        found.append(job)
    return job, [line(one) for one in found]


async def _times(hub: Hub, job: Row[Any], jobs: list[JobLine], request: Request) -> Times:
    try:
        profile = await read_profile(hub, job)
    except Error as error:
        return Times(jobs, line(job), trouble=error)
    if profile is None:
        raise NotFound(f"the job {job.id} has no layers to show: it is {job.state}")
    layers = profile.layers.layers
    chosen = _number(request.query_params.get("layer", ""), len(layers))
    seen = await asyncio.to_thread(layers_view, bounded(profile)[0], say(request), slice(SHOWN_CHUNKS))
    rows = [row for chunk in seen.chunks for row in chunk]
    if chosen is not None and all(row.number != chosen for row in rows):
        rows += layer_rows(profile, [(chosen, layers[chosen - 1])])
    named = [_named(row, layers[row.number - 1]) for row in rows]
    return Times(jobs, line(job), seen, named, sum(layer.time_ns for layer in layers), chosen)


def _named(row: LayerRow, layer: Layer) -> tuple[LayerRow, str, str]:
    return row, layer.name, json.dumps(node_names(layer.name, layer.type))


def _number(text: str, count: int) -> int | None:
    """A layer's number, of the ``count`` there are. Raises :class:`SpecInvalid`."""
    if not text:
        return None
    if re.fullmatch("[0-9]{1,9}", text) and 1 <= int(text) <= count:
        return int(text)
    raise SpecInvalid(
        f"layer={text[:40]} is no layer of this job: it has {count}, numbered from 1",
        hint="leave it out to see them all",
    )


async def viewer(request: Request) -> Response:
    """``GET /graph/viewer/NAME``: Netron's own files."""
    path = _folder() / request.path_params["name"]
    if path.suffix not in TYPES or path.parent != _folder() or not path.is_file():
        raise NotFound(f"the viewer has no {request.path_params['name']!r}")
    here = f"{request.url.scheme}://{request.url.netloc}/graph"
    policy = (
        f"default-src 'none'; script-src {here}/viewer/; style-src {here}/viewer/ 'unsafe-inline'; "
        f"img-src {here}/viewer/ data: blob:; connect-src {here}/; worker-src {here}/viewer/; form-action 'none'; "
        "base-uri 'none'; frame-ancestors 'self'"
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
    size, chunks = await read_blob(hub, await open_read(hub, request.path_params["token"]))
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
