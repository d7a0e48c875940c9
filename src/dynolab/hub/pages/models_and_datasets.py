"""What the pages of models and of datasets have in common: their list, and what can be done with one."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from functools import partial
from typing import Any

from sqlalchemy import Row, Table
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dynolab.errors import Conflict
from dynolab.hub.pages.flash import Flash, clear_flash, read_flash, redirect_with_flash, sharing_action
from dynolab.hub.pages.jobs import JobLine, line
from dynolab.hub.pages.paging import read_page
from dynolab.hub.pages.posted_forms import field_text, posted_form
from dynolab.hub.pages.redirects import redirect
from dynolab.hub.pages.rendering import HEADERS, is_fragment, page
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.base import NAME_MAX, Account, Hub
from dynolab.hub.usecases.find_allowed import find_allowed
from dynolab.hub.usecases.find_jobs import JobFilter, page_jobs
from dynolab.hub.usecases.find_models_and_datasets import (
    ModelOrDatasetFilter,
    find_model_or_dataset,
    narrow_to_project,
    page_models_or_datasets,
)
from dynolab.hub.usecases.open_link import link_file
from dynolab.hub.usecases.place import listed_projects, names_for
from dynolab.hub.usecases.rename import rename as give_name
from dynolab.hub.usecases.share_access import change_sharing, shared_with
from dynolab.spec.measurements import Range
from dynolab.spec.show import show_range

USES = 10
"""Jobs on a model's or dataset's page; the list of jobs has the others."""


@dataclass(frozen=True, slots=True)
class Collection:
    """One of the two collections, models or datasets: what they differ in."""

    table: Table
    details: Callable[[Hub, Account, Row[Any]], Awaitable[dict[str, Any]]]
    """What the page of one shows besides."""
    ending: Callable[[Row[Any]], str]
    """How its file ends."""
    delete: Callable[[Hub, Account, str], Awaitable[None]]
    kinds: Callable[[Hub, Account], Awaitable[set[str]]] | None = None
    """The formats that can be asked for, if it has any."""

    @property
    def path(self) -> str:
        """The path of their list."""
        return f"/{self.table.name}s/"


@dataclass(frozen=True, slots=True)
class Use:
    """A job that used it, and the job's figures."""

    job: JobLine
    peak: str | None
    """Memory of its inference at the highest point."""


def routes_of(collection: Collection) -> list[Route]:
    """The list, a page for each, and what its forms are sent to."""
    verbs = {"rename": rename, "share": share, "delete": delete}
    return [
        Route(collection.path, partial(listing, collection)),
        Route(f"{collection.path}{{id}}/", partial(show, collection)),
        Route(f"{collection.path}{{id}}/download", partial(download, collection)),
        *(
            Route(f"{collection.path}{{id}}/{name}", partial(verb, collection), methods=["POST"])
            for name, verb in verbs.items()
        ),
    ]


async def listing(collection: Collection, request: Request) -> Response:
    """``GET /models/``: the newest first, searched by ``text``, ``creator``, ``kind`` and ``project``. What htmx asks for is the list alone."""
    hub, account = await current_account(request)
    asked = {name: _plain(request.query_params.get(name, "")) for name in ("text", "creator", "kind")}
    wanted = ModelOrDatasetFilter(**asked)
    wanted = await narrow_to_project(hub, account, wanted, _plain(request.query_params.get("project", "")))
    projects = await listed_projects(hub, account)
    places = {} if wanted.in_project else projects
    found = await read_page(request, partial(page_models_or_datasets, hub, account, collection.table, wanted))
    template = "_collection.html.j2" if is_fragment(request) else "collection.html.j2"
    kinds = sorted({*await collection.kinds(hub, account), wanted.kind} - {""}) if collection.kinds else []
    shown: dict[str, Any] = {"found": found, "wanted": wanted, "kinds": kinds, "projects": projects, "places": places}
    return await page(request, template, account, **shown, **_names(collection))


def _plain(value: str) -> str:
    return value.replace("\x00", "").strip()[:NAME_MAX]


async def show(collection: Collection, request: Request) -> Response:
    """``GET /models/ID/``."""
    hub, account = await current_account(request)
    row = await find_model_or_dataset(hub, account, collection.table, request.path_params["id"])
    answer = await page(
        request,
        f"{collection.table.name}.html.j2",
        account,
        flash=read_flash(request),
        row=row,
        places=await names_for(hub, account, [row]),
        mine=row.id in await find_allowed(hub, account, collection.table, [row.id]),
        shared=await shared_with(hub, account, collection.table, row.id),
        **_names(collection),
        **await collection.details(hub, account, row),
    )
    return clear_flash(request, answer)


async def download(collection: Collection, request: Request) -> Response:
    """``GET /models/ID/download``: on to the file's own address."""
    hub, account = await current_account(request)
    row = await find_model_or_dataset(hub, account, collection.table, request.path_params["id"])
    if row.blob_id is None:
        raise Conflict(f"the {collection.table.name} {row.id} has no bytes: its upload is not complete")
    path, _ = link_file(hub, account, collection.table.name, row.id, row.name, collection.ending(row))
    return RedirectResponse(f"/{path}", 303, HEADERS)


async def rename(collection: Collection, request: Request) -> Response:
    """``POST /models/ID/rename`` with ``name``."""
    hub, account, form = await posted_form(request)
    await give_name(hub, account, collection.table, request.path_params["id"], field_text(form, "name"))
    return redirect(request, f"{collection.path}{request.path_params['id']}/")


async def share(collection: Collection, request: Request) -> Response:
    """``POST /models/ID/share`` with ``email``, and ``end=yes`` to share with that address no longer."""
    hub, account, form = await posted_form(request)
    target_id, email, end = request.path_params["id"], field_text(form, "email"), bool(field_text(form, "end"))
    strangers = await change_sharing(hub, account, collection.table, target_id, **{"remove" if end else "add": [email]})
    name = (await find_model_or_dataset(hub, account, collection.table, target_id)).name
    flash = Flash(sharing_action(end, strangers), 1, name, with_whom=email)
    return redirect_with_flash(request, f"{collection.path}{target_id}/", flash)


async def delete(collection: Collection, request: Request) -> Response:
    """``POST /models/ID/delete``, while no job that is not over uses it."""
    hub, account, _ = await posted_form(request)
    await collection.delete(hub, account, request.path_params["id"])
    return redirect(request, collection.path)


async def uses(hub: Hub, account: Account, wanted: JobFilter) -> list[Use]:
    """The newest jobs of a filter, with their figures."""
    return [Use(line(row), _peak(row.summary)) for row in await page_jobs(hub, account, wanted, limit=USES)]


def _peak(summary: Any) -> str | None:
    ends = summary.get("inference_memory_peak_bytes") if isinstance(summary, dict) else None
    if not isinstance(ends, list) or [type(end) for end in ends] != [int, int]:
        return None
    return show_range(Range(*ends), "–")


def _names(collection: Collection) -> dict[str, Any]:
    return {"place": collection.path, "noun": collection.table.name}
