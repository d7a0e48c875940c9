"""The list of jobs, and what can be done with one."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from sqlalchemy import Row
from starlette.datastructures import FormData, QueryParams
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from dynolab.hub.pages.paging import ROWS, before, cut
from dynolab.hub.pages.rendering import HEADERS, is_fragment, page, render
from dynolab.hub.pages.visitors import go, safe, sender, text, visitor
from dynolab.hub.store.tables import job as job_table
from dynolab.hub.usecases.cancel_job import cancel_job
from dynolab.hub.usecases.delete_job import delete_job
from dynolab.hub.usecases.find_jobs import JobFilter, page_jobs
from dynolab.hub.usecases.rename import rename as give_name
from dynolab.hub.usecases.rerun_job import rerun_job
from dynolab.hub.usecases.share_access import change_sharing
from dynolab.report.html.tables import Badge
from dynolab.spec.requirements import Outcome
from dynolab.spec.show import show_time

STATES = ("queued", "preparing", "running", "done", "failed", "cancelled")
LIVE = frozenset(STATES[:3])
KINDS = ("profile", "inference")
WORST_FIRST = (Outcome.NOT_MET, Outcome.CANNOT_TELL, Outcome.MET)


@dataclass(frozen=True, slots=True)
class JobLine:
    """A job in a list; ``trust`` is the verdict on its inference time."""

    id: str
    name: str
    kind: str
    state: str
    live: bool
    model_id: str
    model_name: str
    device: str
    owner: str
    created_at: datetime
    seconds: int | None
    """How long it took, or runs by now; None: it has not begun."""
    time: str | None
    trust: str | None
    required: Required | None


@dataclass(frozen=True, slots=True)
class Required:
    """What became of a job's requirements: the worst outcome, and how many of them are met."""

    badge: Badge
    met: int
    of: int


def required(summary: Mapping[str, Any]) -> Required | None:
    """What a job's summary says of its requirements, if it had any; an agent may have sent what it likes."""
    told = summary.get("requirements")
    counts = {one: told.get(one) for one in WORST_FIRST} if isinstance(told, dict) else {}
    sound = {one: count for one, count in counts.items() if isinstance(count, int) and count > 0}
    if not sound:
        return None
    return Required(Badge(next(iter(sound))), sound.get(Outcome.MET, 0), sum(sound.values()))


def line(row: Row[Any]) -> JobLine:
    """A row of :func:`dynolab.hub.usecases.find_jobs.page_jobs` as it is shown."""
    summary: Mapping[str, Any] = row.summary if isinstance(row.summary, dict) else {}
    time_ns = summary.get("estimated_inference_time_ns")
    ended = row.finished_at or datetime.now(UTC)
    return JobLine(
        id=row.id,
        name=row.name,
        kind=row.kind,
        state=row.state,
        live=row.state in LIVE,
        model_id=row.model_id,
        model_name=row.model_name,
        device=f"{row.device_name} ({row.device_os})" if row.device_os else row.device_name,
        owner=row.email,
        created_at=row.created_at,
        seconds=None if row.started_at is None else round((ended - row.started_at).total_seconds()),
        time=None if time_ns is None else show_time(time_ns),
        trust=(summary.get("verdicts") or {}).get("inference"),
        required=required(summary),
    )


def _filter(query: QueryParams) -> JobFilter:
    """The filter that the address names; words that are no state or kind find nothing, so they are left out."""
    return JobFilter(
        states=[one for one in query.getlist("state") if one in STATES],
        kinds=[one for one in query.getlist("kind") if one in KINDS],
        creator=_plain(query.get("creator", "")),
        device_name=_plain(query.get("device", "")),
        model_id=_plain(query.get("model", "")),
        dataset_id=_plain(query.get("dataset", "")),
        text=_plain(query.get("text", "")),
    )


def _plain(value: str) -> str:
    return value.replace("\x00", "").strip()[:256]


async def listing(request: Request) -> Response:
    """``GET /jobs/``: the newest first, with filters. What htmx asks for is the list alone; 204 where nothing changed."""
    hub, account = await visitor(request)
    wanted = _filter(request.query_params)
    rows = await page_jobs(hub, account, wanted, limit=ROWS + 1, before=before(request))
    found = cut(request, [line(row) for row in rows])
    shown: dict[str, Any] = {
        "found": found,
        "wanted": wanted,
        "states": STATES,
        "kinds": KINDS,
        "again": _again(request),
    }
    if not is_fragment(request):
        return await page(request, "jobs.html.j2", account, **shown)
    content = render(request, "_jobs.html.j2", account, **shown)
    seen = hashlib.sha256(content.encode()).hexdigest()[:16]
    if request.query_params.get("seen") == seen:
        return Response(status_code=204)
    return HTMLResponse(content.replace("seen=0", f"seen={seen}"), headers=HEADERS)


def _again(request: Request) -> str:
    """This list's own address, for looking again; what was seen is added to it."""
    kept = [(name, value) for name, value in request.query_params.multi_items() if name != "seen"]
    return f"{request.url.path}?{urlencode([*kept, ('seen', '0')])}"


async def rename(request: Request) -> Response:
    """``POST /jobs/ID/rename`` with ``name``."""
    hub, account, form = await sender(request)
    job_id = request.path_params["id"]
    await give_name(hub, account, job_table, job_id, text(form, "name"))
    return go(request, f"/jobs/{job_id}/")


async def cancel(request: Request) -> Response:
    """``POST /jobs/ID/cancel``."""
    hub, account, form = await sender(request)
    await cancel_job(hub, account, request.path_params["id"])
    return go(request, _back(request, form))


async def rerun(request: Request) -> Response:
    """``POST /jobs/ID/rerun``: on to the new job."""
    hub, account, _ = await sender(request)
    job_id, _ = await rerun_job(hub, account, request.path_params["id"])
    return go(request, f"/jobs/{job_id}/")


async def share(request: Request) -> Response:
    """``POST /jobs/ID/share`` with ``email``, and ``end=yes`` to share with that address no longer."""
    hub, account, form = await sender(request)
    emails = [text(form, "email")]
    changed = {"remove": emails} if text(form, "end") else {"add": emails}
    await change_sharing(hub, account, job_table, request.path_params["id"], **changed)
    return go(request, f"/jobs/{request.path_params['id']}/")


async def delete(request: Request) -> Response:
    """``POST /jobs/ID/delete``, once it is over."""
    hub, account, _ = await sender(request)
    await delete_job(hub, account, request.path_params["id"])
    return go(request, "/jobs/")


def _back(request: Request, form: FormData) -> str:
    return safe(text(form, "next", f"/jobs/{request.path_params['id']}/"))


routes = [
    Route("/jobs/", listing),
    *(
        Route(f"/jobs/{{id}}/{verb.__name__}", verb, methods=["POST"])
        for verb in (rename, cancel, rerun, share, delete)
    ),
]
