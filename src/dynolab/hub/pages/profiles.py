"""A job's page: what it is at while it runs, what it measured when it is done, why when it failed."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response, StreamingResponse
from starlette.routing import Route

from dynolab import formats as model_formats
from dynolab import plugins
from dynolab.errors import Error, NotFound, SpecInvalid
from dynolab.hub.pages.flash import clear_flash, read_flash
from dynolab.hub.pages.jobs import line
from dynolab.hub.pages.live_logs import live_log
from dynolab.hub.pages.live_updates import live_fragment
from dynolab.hub.pages.progress import running
from dynolab.hub.pages.rendering import HEADERS, is_fragment, page, say
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.store.tables import job as job_table
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.estimate_start import estimate_start
from dynolab.hub.usecases.find_allowed import find_allowed
from dynolab.hub.usecases.find_artifact import find_artifact
from dynolab.hub.usecases.find_attempts import find_attempts
from dynolab.hub.usecases.find_devices import find_devices
from dynolab.hub.usecases.find_jobs import find_job, linked_models
from dynolab.hub.usecases.find_toolchain import find_offered
from dynolab.hub.usecases.open_link import link_file
from dynolab.hub.usecases.pin_job import find_end
from dynolab.hub.usecases.place import names_for
from dynolab.hub.usecases.read_blob import read_blob
from dynolab.hub.usecases.read_comparison import read_comparison
from dynolab.hub.usecases.read_compiled import read_compiled
from dynolab.hub.usecases.read_linked import read_linked
from dynolab.hub.usecases.read_log import read_log
from dynolab.hub.usecases.read_profile import read_profile
from dynolab.hub.usecases.read_quantized import read_quantized
from dynolab.report.base import Report, Say
from dynolab.report.html.bounded import bounded
from dynolab.report.html.compiled import CompiledView, compiled_view
from dynolab.report.html.duet import DuetView, duet_view
from dynolab.report.html.layers import layers_view
from dynolab.report.html.quantized import QuantizedView, quantized_view
from dynolab.report.html.view import ProfileView, view
from dynolab.spec import codec
from dynolab.spec.links import Linked
from dynolab.spec.profiles import Profile
from dynolab.spec.runtime_support import check_runtime_support
from dynolab.spec.toolchain_support import MAKES, QUANTIZE, toolchain

PAGE = "html"
"""The format that is a page."""
FIRST_CHUNKS, MORE_CHUNKS = 2, 20
"""Bodies of the layer table, of a hundred layers each, that come with the page; and with each request after that."""
LOG_TAIL_BYTES = 200_000
TABS = ("overview", "memory", "timing", "layers", "setup", "log")
"""The parts that the result of a job is shown in, each a page of its own."""


@dataclass(frozen=True, slots=True)
class LayersPart:
    """Some bodies of a table of layers, from ``first`` on: one answer holds no more."""

    first: int

    @classmethod
    def asked(cls, request: Request, default: int) -> LayersPart:
        """What the address asks for with ``from``. Raises :class:`SpecInvalid`."""
        text = request.query_params.get("from", "")
        if text and not re.fullmatch("[0-9]{1,6}", text):
            raise SpecInvalid(
                f"from={text[:40]} is no place in a table of layers", hint="leave it out for the first ones"
            )
        return cls(int(text) if text else default)

    @property
    def chunks(self) -> slice:
        """Which bodies these are."""
        return slice(self.first, self.first + MORE_CHUNKS)

    def beside(self, count: int) -> tuple[int | None, int | None]:
        """Where the bodies before these begin, and those after, of so many; None: there are none."""
        before = max(0, self.first - MORE_CHUNKS) if self.first else None
        return before, self.chunks.stop if self.chunks.stop < count else None


async def show(request: Request) -> Response:
    """``GET /jobs/ID/``, of a result one ``tab`` at a time."""
    hub, account = await current_account(request)
    row = await find_job(hub, account, request.path_params["id"])
    shown = await _shown(hub, account, row)
    outcome, log = await _outcome(hub, row, say(request)), await live_log(hub, row)
    outcome |= await _target(hub, account, row)
    known = TABS if outcome["shown"] else TABS[:1]
    asked = request.query_params.get("tab")
    around: dict[str, Any] = {"tabs": known, "tab": asked if asked in known else known[0], "flash": read_flash(request)}
    around["places"] = await names_for(hub, account, [row])
    answer = await page(request, "job.html.j2", account, **shown, **outcome, **log, **around)
    return clear_flash(request, answer)


async def live(request: Request) -> Response:
    """``GET /jobs/ID/live``: what it is at. 204 where nothing changed; once it is over, htmx is told to load the page anew."""
    hub, account = await current_account(request)
    row = await find_job(hub, account, request.path_params["id"])
    if row.finished_at is not None:
        return Response(status_code=204, headers={"HX-Refresh": "true"})
    return live_fragment(request, account, "_live.html.j2", **await _shown(hub, account, row))


async def layers(request: Request) -> Response:
    """``GET /jobs/ID/layers``: layers from the body ``from`` on, as bodies of the table for htmx, as a page for others."""
    hub, account = await current_account(request)
    row = await find_job(hub, account, request.path_params["id"])
    profile = await read_profile(hub, row)
    if profile is None:
        raise NotFound(f"the job {row.id} has no layers to show: it is {row.state}")
    fragment = is_fragment(request)
    part = LayersPart.asked(request, FIRST_CHUNKS if fragment else 0)
    seen = await asyncio.to_thread(layers_view, profile, say(request), part.chunks)
    before, rest = part.beside(seen.of_chunks)
    place = f"/jobs/{row.id}/layers"
    return await page(
        request,
        "_layers.html.j2" if fragment else "layers.html.j2",
        account,
        job=line(row),
        chunks=seen.chunks,
        disturbed=seen.disturbed,
        before=None if before is None else f"{place}?from={before}",
        rest=None if rest is None else f"{place}?from={rest}",
    )


async def report(request: Request) -> Response:
    """``GET /jobs/ID/report/FORMAT``: the profile in one of the report's formats, as a file."""
    hub, account = await current_account(request)
    row = await find_job(hub, account, request.path_params["id"])
    profile = await read_profile(hub, row)
    if profile is None:
        raise NotFound(f"the job {row.id} has no profile: it is {row.state}")
    form = report_format(request.path_params["format"])
    content = await asyncio.to_thread(form.render, as_rendered(form, [profile]))
    headers = {"Content-Disposition": f'attachment; filename="{row.id}_{form.file_name}"', **HEADERS}
    return Response(content, headers=headers, media_type="application/octet-stream")


DOCUMENTS: Mapping[str, Callable[[Hub, Row[Any]], Awaitable[object | None]]] = {
    "comparison": read_comparison,
    "compiled": read_compiled,
    "quantized": read_quantized,
    "linked": read_linked,
}
"""What reads the documents of jobs that leave no profile, by the last part of the document's address."""


async def document(name: str, request: Request) -> Response:
    """``GET /jobs/ID/NAME``: what a job found, or tells of the model that it made, as a file; see :data:`DOCUMENTS`."""
    hub, account = await current_account(request)
    row = await find_job(hub, account, request.path_params["id"])
    found = await DOCUMENTS[name](hub, row)
    if found is None:
        raise NotFound(f"the job {row.id} has no {name}.json: it is {row.state}")
    content = json.dumps(codec.encode(found), indent=1) + "\n"
    headers = {"Content-Disposition": f'attachment; filename="{row.id}_{name}.json"', **HEADERS}
    return Response(content, headers=headers, media_type="application/octet-stream")


async def log(request: Request) -> Response:
    """``GET /jobs/ID/log``: the last attempt's log, as text; while that runs, as far as it has come."""
    hub, account = await current_account(request)
    row = await find_job(hub, account, request.path_params["id"])
    size, chunks = await read_log(hub, row)
    headers = {"Content-Length": str(size), **HEADERS}
    return StreamingResponse(chunks, headers=headers, media_type="text/plain; charset=utf-8")


async def artifact(request: Request) -> Response:
    """``GET /jobs/ID/artifact``: on to the address of what compile made, a zip file."""
    hub, account = await current_account(request)
    row = await find_job(hub, account, request.path_params["id"])
    find_artifact(row)
    path, _ = link_file(hub, account, "artifact", row.id, f"{row.name}_{row.id}_artifact", ".zip")
    return RedirectResponse(f"/{path}", 303, HEADERS)


def as_rendered(form: Report, profiles: Sequence[Profile]) -> list[Profile]:
    """The profiles as far as a report in this format is made here: a page is cut short as ours are."""
    return [bounded(one)[0] if form.name == PAGE else one for one in profiles]


def formats() -> list[Report]:
    """The report's formats, by name."""
    return [report_format(name) for name in plugins.names("dynolab.report")]


def report_format(name: str) -> Report:
    """One of them. Raises :class:`NotFound`."""
    found = plugins.load("dynolab.report", name)
    assert isinstance(found, Report)
    return found


async def _shown(hub: Hub, account: Account, row: Row[Any]) -> dict[str, Any]:
    """What the page tells of any job."""
    attempts, position = await find_attempts(hub, row)
    return {
        "job": line(row),
        "row": row,
        "linked_models": linked_models(row),
        "attempts": attempts,
        "position": position,
        "estimate": await estimate_start(hub, row, position) if row.state == "queued" else None,
        "running": await running(hub, row, attempts),
        "end": await find_end(hub, row),
        "mine": row.id in await find_allowed(hub, account, job_table, [row.id]),
    }


async def _outcome(hub: Hub, row: Row[Any], spoken: Say) -> dict[str, Any]:
    """What a job that is over left: the view of its profile, comparison or model, or why that cannot be shown; and the end of its log."""
    shown: ProfileView | None = None
    told: list[Report] = []
    seen: DuetView | None = None
    made: CompiledView | None = None
    quantised: QuantizedView | None = None
    graphs: Linked | None = None
    trouble, is_cut = None, False
    try:
        if (profile := await read_profile(hub, row)) is not None:
            shown, is_cut = await asyncio.to_thread(_seen, profile, row.name, spoken)
            told = [one for one in formats() if one.fits(profile)]
        if (found := await read_comparison(hub, row)) is not None:
            seen = duet_view(found, spoken)
        if (document := await read_compiled(hub, row)) is not None:
            made = compiled_view(document, spoken)
        if (integers := await read_quantized(hub, row)) is not None:
            quantised = quantized_view(integers, spoken)
        graphs = await read_linked(hub, row)
    except Error as error:
        trouble = error
    return {
        "shown": shown,
        "seen": seen,
        "made": made,
        "quantised": quantised,
        "graphs": graphs,
        "is_cut": is_cut,
        "trouble": trouble,
        "log": await _log_tail(hub, row),
        "formats": told,
        "measured": shown is not None,
    }


async def _target(hub: Hub, account: Account, row: Row[Any]) -> dict[str, Any]:
    """Where the model leads that a job makes: what may be submitted with it, on the job's device, if it has one that runs it."""
    if row.target_model_id is None:
        return {"has_target": False, "profile_at": None, "compare_at": None, "quantize_at": None}
    runs = compares = not row.device_name  # elsewhere the form chooses
    on = {"device": row.device_name} if row.device_name else {}
    if row.device_name:
        boards = [one.attributes for one in await find_devices(hub, account, name=row.device_name, os=row.device_os)]
        runs, compares = (
            _runs(row.device_name, boards, *kinds) for kinds in ((row.target_kind,), (row.target_kind, row.model_kind))
        )
    is_made = row.target_blob_id is not None
    declared = model_formats.by_name(row.target_kind)
    if declared is not None and declared.elsewhere:
        return {"has_target": is_made, "profile_at": None, "compare_at": None, "quantize_at": None}
    quantized = row.kind == "compile" and f"{MAKES}{toolchain(QUANTIZE, row.target_kind)}" in await find_offered(
        hub, account
    )
    is_usable = is_made or row.finished_at is None  # jobs on it wait until it is made
    of_model = {"model": row.target_model_id} | (on if runs else {})
    return {
        "has_target": is_made,
        "profile_at": f"/submit?{urlencode(of_model)}" if is_usable else None,
        "quantize_at": f"/submit?kind=quantize&model={row.target_model_id}" if is_usable and quantized else None,
        "compare_at": f"/submit?{urlencode({'baseline': row.model_id} | of_model)}" if is_made and compares else None,
    }


def _runs(name: str, boards: Sequence[Sequence[str]], *model_kinds: str) -> bool:
    """Whether the device's boards, if there are any, run models of all these kinds."""
    try:
        for kind in model_kinds:
            check_runtime_support(name, boards, runtime=None, model_kind=kind)
    except SpecInvalid:
        return False
    return bool(boards)


def _seen(profile: Profile, name: str, spoken: Say) -> tuple[ProfileView, bool]:
    """The view of a profile, and whether the document holds more than that."""
    shown, is_cut = bounded(profile)
    return view(shown, name, 1, many=False, say=spoken, chunks=slice(FIRST_CHUNKS)), is_cut


async def _log_tail(hub: Hub, row: Row[Any]) -> str | None:
    if row.log_blob_id is None:
        return None
    _, chunks = await read_blob(hub, row.log_blob_id)
    kept = b""
    async for chunk in chunks:
        kept = (kept + chunk)[-LOG_TAIL_BYTES:]
    return kept.decode("utf-8", "replace")


routes = [
    Route("/jobs/{id}/", show),
    Route("/jobs/{id}/live", live),
    Route("/jobs/{id}/layers", layers),
    Route("/jobs/{id}/report/{format}", report),
    *(Route(f"/jobs/{{id}}/{name}", partial(document, name)) for name in DOCUMENTS),
    Route("/jobs/{id}/artifact", artifact),
    Route("/jobs/{id}/log", log),
]
