"""The list of jobs."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

from sqlalchemy import Row
from starlette.datastructures import QueryParams
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.hub.pages.flash import clear_flash, read_flash
from dynolab.hub.pages.live_updates import live_page
from dynolab.hub.pages.paging import current_address, read_page
from dynolab.hub.pages.rendering import is_fragment
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.store.tables import job as job_table
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_allowed import find_allowed
from dynolab.hub.usecases.find_compared import MOST
from dynolab.hub.usecases.find_devices import find_devices
from dynolab.hub.usecases.find_jobs import JobFilter, narrow_to_model, narrow_to_project, page_jobs
from dynolab.hub.usecases.find_recent_names import find_recent_names
from dynolab.hub.usecases.job_request import KINDS
from dynolab.hub.usecases.place import listed_projects
from dynolab.report.html.tables import Badge
from dynolab.spec import quantizes
from dynolab.spec.compiles import POOR_PSNR_DB
from dynolab.spec.requirements import Outcome
from dynolab.spec.show import show_time, show_time_range

STATES = ("queued", "preparing", "running", "done", "failed", "cancelled")
LIVE = frozenset(STATES[:3])
WORDS: Mapping[str, tuple[str, ...]] = {"state": STATES, "kind": KINDS}
"""The words that a filter takes."""
UNKNOWN_MOST = 5
"""Words that no filter takes which are named."""
ANSWERS = ("slower", "faster", "unchanged", "cannot-tell")
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
    device_name: str
    owner: str
    in_project: str | None
    """The project's id."""
    created_at: datetime
    seconds: int | None
    """How long it took, or runs by now; None: it has not begun."""
    time: str | None
    trust: str | None
    required: Required | None
    answer: str | None
    """What a comparison found: a word such as ``slower``."""
    made: Made | None
    """What a compile or quantize job made."""


@dataclass(frozen=True, slots=True)
class Required:
    """What became of a job's requirements: the worst outcome, and how often each occurred, best first."""

    badge: Badge
    counts: list[tuple[str, int]]


@dataclass(frozen=True, slots=True)
class Made:
    """A compiled or quantised model in a list: its target or integers, and how far its numbers are from the source's, if that was told."""

    target: str
    numbers: str | None
    is_poor: bool


def made(row: Row[Any], summary: Mapping[str, Any]) -> Made | None:
    """What the row of a compile or quantize job says of the model that it made; an agent may have sent what it likes."""
    if row.kind not in ("compile", "quantize") or row.state != "done":
        return None
    psnr, error = (summary.get(name) for name in ("psnr_db", "max_abs_error"))
    if row.kind == "quantize":
        return _quantized(row, psnr, summary.get("agreement"))
    numbers = f"{psnr:.1f} dB" if isinstance(psnr, float) else "=" if error == 0 else None
    return Made(row.toolchain.partition("/")[0], numbers, isinstance(psnr, float) and psnr < POOR_PSNR_DB)


def _quantized(row: Row[Any], psnr: object, agreement: object) -> Made:
    """A quantised model: poor by the bounds of its own kind."""
    is_poor = (isinstance(psnr, float) and psnr < quantizes.POOR_PSNR_DB) or (
        isinstance(agreement, float) and agreement < quantizes.POOR_AGREEMENT
    )
    integers = f"{row.weights_dtype} / {row.activations_dtype}"
    return Made(integers, f"{psnr:.1f} dB" if isinstance(psnr, float) else None, is_poor)


def required(summary: Mapping[str, Any]) -> Required | None:
    """What a job's summary says of its requirements, if it had any; an agent may have sent what it likes."""
    told = summary.get("requirements")
    counts = {one: told.get(one) for one in WORST_FIRST} if isinstance(told, dict) else {}
    sound = {one: count for one, count in counts.items() if isinstance(count, int) and count > 0}
    if not sound:
        return None
    best_first = [(one.replace(" ", "-"), sound[one]) for one in reversed(WORST_FIRST) if one in sound]
    return Required(Badge(next(iter(sound))), best_first)


def _time(summary: Mapping[str, Any]) -> str | None:
    """The range of the inference time; of a summary without a lower end, as older agents sent it, the minimum."""
    upper, lower = (summary.get(f"estimated_inference_time_{end}ns") for end in ("", "lower_"))
    if not isinstance(upper, int | float):
        return None
    return show_time(upper) if not isinstance(lower, int | float) else show_time_range(lower, upper, "–")


def line(row: Row[Any]) -> JobLine:
    """A row of :func:`dynolab.hub.usecases.find_jobs.page_jobs` as it is shown."""
    summary: Mapping[str, Any] = row.summary if isinstance(row.summary, dict) else {}
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
        device_name=row.device_name,
        owner=row.email,
        in_project=row.in_project,
        created_at=row.created_at,
        seconds=None if row.started_at is None else max(0, round((ended - row.started_at).total_seconds())),
        time=_time(summary),
        trust=(summary.get("verdicts") or {}).get("inference"),
        required=required(summary),
        answer=summary.get("word") if summary.get("word") in ANSWERS else None,
        made=made(row, summary),
    )


def _filter(query: QueryParams) -> JobFilter:
    """The filter that the address names, without the words that are no state or kind: :func:`_unknown` names them."""
    return JobFilter(
        states=[one for one in WORDS["state"] if one in query.getlist("state")],
        kinds=[one for one in WORDS["kind"] if one in query.getlist("kind")],
        creator=_plain(query, "creator"),
        device_name=_plain(query, "device"),
        dataset_id=_plain(query, "dataset"),
        text=_plain(query, "text"),
    )


def _unknown(query: QueryParams) -> list[tuple[str, str, tuple[str, ...]]]:
    """States and kinds that the address names and that are none: the filter, the word, the words that it takes."""
    given = dict.fromkeys((name, one[:100]) for name in WORDS for one in query.getlist(name) if one)
    return [(name, one, WORDS[name]) for name, one in given if one not in WORDS[name]][:UNKNOWN_MOST]


def _plain(query: QueryParams, name: str) -> str:
    return query.get(name, "").replace("\x00", "").strip()[:256]


async def _first_commands(request: Request, hub: Hub, account: Account) -> list[str]:
    """What submits a job from a terminal, line by line, with this hub's address and a device that it knows."""
    address = str(request.app.state.base_url(request)).rstrip("/")
    devices = await find_devices(hub, account)
    device = shlex.quote(devices[0].name) if devices else "NAME"
    return [f"dynolab login {address}", f"dynolab submit profile MODEL --device {device}"]


async def listing(request: Request) -> Response:
    """``GET /jobs/``: the newest first, with filters. What htmx asks for is the list alone; 204 where nothing changed."""
    hub, account = await current_account(request)
    query = request.query_params
    model, project = _plain(query, "model"), _plain(query, "project")
    wanted = await narrow_to_model(hub, _filter(query), model)
    wanted = await narrow_to_project(hub, account, wanted, project)
    projects = await listed_projects(hub, account)
    found = await read_page(request, partial(page_jobs, hub, account, wanted))
    shown: dict[str, Any] = {
        "found": replace(found, rows=[line(row) for row in found.rows]),
        "mine": await find_allowed(hub, account, job_table, [row.id for row in found.rows]),
        "here": current_address(request),
        "filtered": current_address(request) != request.url.path,
        "unknown": _unknown(query),
        "places": {} if wanted.in_project else projects,
        "commands": [] if found.rows else await _first_commands(request, hub, account),
    }
    if is_fragment(request):
        return await live_page(request, account, "jobs", **shown)
    around = {
        "wanted": wanted,
        "model": model,
        "projects": projects,
        "states": STATES,
        "kinds": KINDS,
        "flash": read_flash(request),
        "most": MOST,
    }
    answer = await live_page(
        request, account, "jobs", **shown, **around, recent_names=await find_recent_names(hub, account)
    )
    return clear_flash(request, answer)


routes = [Route("/jobs/", listing)]
