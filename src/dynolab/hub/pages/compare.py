"""Jobs side by side: stage by stage and layer by layer, the first one the base that the others are held against."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import NotFound
from dynolab.hub.pages.jobs import JobLine, line
from dynolab.hub.pages.profiles import FIRST_CHUNKS, LayersPart, as_rendered, formats
from dynolab.hub.pages.rendering import HEADERS, is_fragment, page, say
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.find_compared import MOST, find_chosen, find_comparable, find_compared
from dynolab.report.base import Report
from dynolab.report.html.bounded import bounded
from dynolab.report.html.figures import comparison
from dynolab.report.html.sides import LETTERS, comparisons, layer_sides, sides
from dynolab.spec import codec, precision
from dynolab.spec.profiles import Profile

TABS = ("overview", "stages", "layers", "figures")
"""The parts that a comparison is shown in."""
OFFERED = 50
"""Jobs to choose from."""
EACH_ANSWER = ("json", "comparison.json", "the comparison itself: answers, ratios, intervals, layers")
"""A format beside the report's: what ``dynolab compare --json`` prints, for each job against the base."""


@dataclass(frozen=True, slots=True)
class Column:
    """One of the jobs: its letter, and addresses of the same comparison with it as the base, and without it."""

    letter: str
    job: JobLine
    runtime: str
    as_base: str | None
    without: str


def address(job_ids: Sequence[str], path: str = "/compare", **more: str) -> str:
    """The address of a comparison."""
    return f"{path}?{urlencode([*(('job', job_id) for job_id in job_ids), *more.items()])}"


async def show(request: Request) -> Response:
    """``GET /compare?job=A&job=B``: two to six jobs, one ``tab`` at a time; with fewer, or with ``add``, a form to choose others."""
    hub, account = await current_account(request)
    ids = chosen_ids(request)
    if len(ids) < 2 or "add" in request.query_params:
        chosen = await find_chosen(hub, account, ids)
        others = await find_comparable(hub, account, chosen, limit=OFFERED)
        shown: dict[str, Any] = {"chosen": [line(row) for row in chosen], "others": [line(row) for row in others]}
        return await page(request, "compare_choose.html.j2", account, **shown, most=MOST)
    found = await find_compared(hub, account, ids)
    cut = await asyncio.to_thread(lambda: [bounded(profile) for _, profile in found])
    profiles = [profile for profile, _ in cut]
    seen = await asyncio.to_thread(sides, profiles, slice(FIRST_CHUNKS), say(request))
    asked = request.query_params.get("tab")
    return await page(
        request,
        "compare.html.j2",
        account,
        columns=_columns([row for row, _ in found], profiles),
        seen=seen,
        tabs=[(tab, address(ids, **({} if tab == TABS[0] else {"tab": tab}))) for tab in TABS],
        tab=asked if asked in TABS else TABS[0],
        figures=await asyncio.to_thread(comparison, profiles),
        apart=_apart([profile for _, profile in found]),
        is_cut=any(is_cut for _, is_cut in cut),
        rest=address(ids, "/compare/layers"),
        more=address(ids, add="1") if len(ids) < MOST else None,
        decide=_decide([row for row, _ in found]),
        downloads=[
            (name, description, address(ids, f"/compare/report/{name}"))
            for name, _, description in [EACH_ANSWER, *((one.name, "", one.description) for one in _together())]
        ],
    )


async def layers(request: Request) -> Response:
    """``GET /compare/layers``: layers from the body ``from`` on, as bodies of the table for htmx, as a page for others."""
    hub, account = await current_account(request)
    found = await find_compared(hub, account, chosen_ids(request))
    profiles = [profile for _, profile in found]
    fragment = is_fragment(request)
    part = LayersPart.asked(request, FIRST_CHUNKS if fragment else 0)
    seen = await asyncio.to_thread(layer_sides, profiles, part.chunks)
    before, rest = part.beside(seen.of_chunks)
    ids = chosen_ids(request)
    return await page(
        request,
        "_compare_layers.html.j2" if fragment else "compare_layers.html.j2",
        account,
        seen=seen,
        before=None if before is None else address(ids, "/compare/layers", **{"from": str(before)}),
        rest=None if rest is None else address(ids, "/compare/layers", **{"from": str(rest)}),
        back=address(ids),
        columns=_columns([row for row, _ in found], profiles),
    )


async def report(request: Request) -> Response:
    """``GET /compare/report/FORMAT``: the comparison as a file."""
    hub, account = await current_account(request)
    found = await find_compared(hub, account, chosen_ids(request))
    profiles = [profile for _, profile in found]
    name = request.path_params["format"]
    if name == EACH_ANSWER[0]:
        file_name, content = EACH_ANSWER[1], await asyncio.to_thread(_answers, found)
    else:
        form = next((one for one in _together() if one.name == name), None)
        if form is None:
            known = ", ".join([EACH_ANSWER[0], *(one.name for one in _together())])
            raise NotFound(f"{name[:100]!r} is no format for several jobs", hint=f"there are: {known}")
        file_name, content = form.file_name, await asyncio.to_thread(form.render, as_rendered(form, profiles))
    headers = {"Content-Disposition": f'attachment; filename="compared_{file_name}"', **HEADERS}
    return Response(content, headers=headers, media_type="application/octet-stream")


def chosen_ids(request: Request) -> list[str]:
    """The chosen jobs, each once; a NUL is in no id, and no database takes it."""
    given = (one.replace("\x00", "").strip()[:100] for one in request.query_params.getlist("job"))
    return list(dict.fromkeys(one for one in given if one))


def _columns(rows: Sequence[Row[Any]], profiles: Sequence[Profile]) -> list[Column]:
    ids = [row.id for row in rows]
    columns = []
    for at, (row, profile) in enumerate(zip(rows, profiles, strict=True)):
        others = [one for one in ids if one != row.id]
        runtime = " ".join([profile.runtime.name, *list(profile.runtime.versions.values())[:1]])
        as_base = address([row.id, *others]) if at else None
        columns.append(Column(LETTERS[at], line(row), runtime, as_base, address(others)))
    return columns


def _decide(rows: Sequence[Row[Any]]) -> str | None:
    """The form for a job that has the models of two jobs take turns; None where they are one model, or not of one device."""
    if len(rows) != 2 or rows[0].device_name != rows[1].device_name or rows[0].model_id == rows[1].model_id:
        return None
    return "/submit?" + urlencode(
        {"baseline": rows[0].model_id, "model": rows[1].model_id, "device": rows[1].device_name}
    )


def _apart(profiles: Sequence[Profile]) -> list[str]:
    """What must be the same for a difference to be the model's: those of model, device, runtime, options and inputs that are not."""
    kinds: dict[str, set[Any]] = {
        "schema": {profile.schema_version for profile in profiles},
        "precision": {kind for kind in map(precision.of_profile, profiles) if kind is not None},
        "model": {profile.model.sha256 for profile in profiles},
        "device": {(profile.device.name, profile.device.os, profile.device.os_version) for profile in profiles},
        "runtime": {(profile.runtime.name, tuple(profile.runtime.versions.items())) for profile in profiles},
        "options": {profile.request.options for profile in profiles},
        "inputs": {tuple((one.spec.dtype, one.spec.shape) for one in profile.inputs) for profile in profiles},
    }
    return [kind for kind, values in kinds.items() if len(values) > 1]


def _together() -> list[Report]:
    """The report's formats that hold several profiles."""
    return [one for one in formats() if one.several]


def _answers(found: Sequence[tuple[Row[Any], Profile]]) -> str:
    """Each job's comparison with the first, as ``dynolab compare --json`` tells it."""
    ids = [row.id for row, _ in found]
    told = comparisons([profile for _, profile in found])
    pairs = [
        {"base": ids[0], "job": one, "comparison": codec.encode(each)} for one, each in zip(ids[1:], told, strict=True)
    ]
    return json.dumps({"comparisons": pairs}, indent=1) + "\n"


routes = [
    Route("/compare", show),
    Route("/compare/layers", layers),
    Route("/compare/report/{format}", report),
]
