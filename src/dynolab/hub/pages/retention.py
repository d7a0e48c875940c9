"""For how long results are kept: what the forms of an account and of a project send; what would go is asked about first."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from dynolab.errors import SpecInvalid
from dynolab.hub.pages.flash import Action, Flash, redirect_with_flash
from dynolab.hub.pages.posted_forms import field_text, posted_form
from dynolab.hub.pages.rendering import page
from dynolab.hub.usecases.find_organisations import find_one_project
from dynolab.hub.usecases.sweep_retention import LOST_MOST, keep_for, lost_with


async def keep(request: Request) -> Response:
    """``POST .../retention`` with ``days`` (empty: keep all); with ``sure=yes`` also where results go by it, else a page asks."""
    hub, account, form = await posted_form(request)
    project, name, place = "", "", "/account/"
    if "project" in request.path_params:
        found = await find_one_project(hub, account, request.path_params["project"])
        project, name, place = found.id, found.full_name, f"/projects/{found.full_name}/"
    days = _days(field_text(form, "days"))
    if days is not None and field_text(form, "sure") != "yes":
        lost = await lost_with(hub, account, days, project_named=project)
        if lost.jobs or lost.datasets:
            return await page(
                request,
                "retention.html.j2",
                account,
                days=days,
                lost=lost,
                most=LOST_MOST,
                place=place,
                name=name,
            )
    await keep_for(hub, account, days, project_named=project)
    return redirect_with_flash(request, place, Flash(Action.KEEP, 1))


def _days(text: str) -> int | None:
    """A number of days; None: none. Raises :class:`SpecInvalid`."""
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 6):
        raise SpecInvalid(f"{text[:40]!r} is no number of days", hint="leave it empty to keep all until it is deleted")
    return int(text)
