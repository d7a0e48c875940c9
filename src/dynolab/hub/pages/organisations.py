"""Organisations and projects: members, invitations, quotas, retention; and the project that a browser looks at."""

from __future__ import annotations

import secrets
from typing import Any
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.hub.pages.flash import (
    Action,
    Flash,
    NewToken,
    clear_flash,
    read_flash,
    read_new_token,
    redirect_with_flash,
    redirect_with_new_token,
)
from dynolab.hub.pages.posted_forms import field_text, posted_form, told_on
from dynolab.hub.pages.redirects import redirect, safe_path
from dynolab.hub.pages.rendering import page
from dynolab.hub.pages.retention import keep
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.change_members import (
    LINK_LIFE,
    follow_member_link,
    make_member_link,
    read_member_link,
    set_member,
)
from dynolab.hub.usecases.change_organisation import (
    create_organisation,
    create_project,
    delete_organisation,
    delete_project,
)
from dynolab.hub.usecases.find_member_links import find_member_links, withdraw_member_link
from dynolab.hub.usecases.find_organisations import find_one_project, find_organisation, find_organisations
from dynolab.hub.usecases.quotas import read_usage
from dynolab.hub.usecases.read_session import choose_project

PLACE, INVITE = "/organisations/", "invite"
OF_PROJECT = ("viewer", "member", "admin")
OF_ORGANISATION = (*OF_PROJECT, "owner")


async def listing(request: Request) -> Response:
    """``GET /organisations/``."""
    hub, account = await current_account(request)
    found = await find_organisations(hub, account)
    shown: dict[str, Any] = {"found": found, "may_make": account.is_admin and not account.is_bound}
    return clear_flash(
        request, await page(request, "organisations.html.j2", account, flash=read_flash(request), **shown)
    )


async def show(request: Request) -> Response:
    """``GET /organisations/ORGANISATION/``."""
    hub, account = await current_account(request)
    found = await find_organisation(hub, account, request.path_params["organisation"])
    roles = OF_ORGANISATION if found.may_own else OF_PROJECT
    shown: dict[str, Any] = {"organisation": found, "roles": roles, "place": f"{PLACE}{found.name}/"}
    sees_links = found.may_manage and not account.is_bound
    shown["links"] = await find_member_links(hub, account, organisation=found.id) if sees_links else []
    return await _page(request, "organisation.html.j2", account, **shown)


async def show_project(request: Request) -> Response:
    """``GET /projects/PROJECT/``."""
    hub, account = await current_account(request)
    found = await find_one_project(hub, account, request.path_params["project"])
    shown: dict[str, Any] = {"project": found, "roles": OF_PROJECT, "place": f"/projects/{found.full_name}/"}
    sees_links = found.may_manage and not account.is_bound
    shown["links"] = await find_member_links(hub, account, project=found.id) if sees_links else []
    return await _page(request, "project.html.j2", account, usage=await read_usage(hub, account, found.id), **shown)


async def show_place(request: Request) -> Response:
    """The page of the project, or of the organisation, that the address names."""
    return await (show_project if "project" in request.path_params else show)(request)


async def _page(request: Request, template: str, account: Account, **shown: Any) -> Response:
    made = read_new_token(request)
    invite = made.secret if made is not None and made.kind == INVITE else None
    address = request.app.state.base_url(request)
    shown |= {"flash": read_flash(request), "invite": invite and f"{address}join/{invite}", "days": LINK_LIFE.days}
    return clear_flash(request, await page(request, template, account, **shown))


@told_on(listing)
async def make(request: Request) -> Response:
    """``POST /organisations/`` with ``name`` and ``owner``."""
    hub, account, form = await posted_form(request)
    name, owner = field_text(form, "name"), field_text(form, "owner") or account.email
    await create_organisation(hub, account, name, owner)
    return redirect_with_flash(request, PLACE, Flash(Action.MADE, 1, name))


@told_on(show)
async def make_project(request: Request) -> Response:
    """``POST /organisations/ORGANISATION/projects`` with ``name``."""
    hub, account, form = await posted_form(request)
    named, name = request.path_params["organisation"], field_text(form, "name")
    await create_project(hub, account, named, name)
    return redirect_with_flash(request, f"{PLACE}{_in_path(named)}/", Flash(Action.MADE, 1, name))


@told_on(show)
async def end(request: Request) -> Response:
    """``POST /organisations/ORGANISATION/delete``."""
    hub, account, _ = await posted_form(request)
    named = request.path_params["organisation"]
    await delete_organisation(hub, account, named)
    return redirect_with_flash(request, PLACE, Flash(Action.DELETE, 1, named))


@told_on(show_project)
async def end_project(request: Request) -> Response:
    """``POST /projects/PROJECT/delete``."""
    hub, account, _ = await posted_form(request)
    found = await find_one_project(hub, account, request.path_params["project"])
    await delete_project(hub, account, found.id)
    return redirect_with_flash(request, f"{PLACE}{found.organisation}/", Flash(Action.DELETE, 1, found.full_name))


@told_on(show_place)
async def members(request: Request) -> Response:
    """``POST .../members`` with ``email`` and ``role``, or ``role=none`` to take it away."""
    hub, account, form = await posted_form(request)
    email, role = field_text(form, "email"), field_text(form, "role")
    where, place = await _where(request, hub, account)
    await set_member(hub, account, email, None if role == "none" else role, **where)
    left = role == "none" and email == account.email
    flash = Flash(Action.REMOVE_MEMBER if role == "none" else Action.NAME_MEMBER, 1, with_whom=email)
    return redirect_with_flash(request, PLACE if left else place, flash)


@told_on(show_place)
async def invite(request: Request) -> Response:
    """``POST .../invite`` with ``role``: back to the page, which shows the link, once."""
    hub, account, form = await posted_form(request)
    secret, role = secrets.token_urlsafe(20), field_text(form, "role")
    where, place = await _where(request, hub, account)
    await make_member_link(hub, account, role, secret, **where)
    return redirect_with_new_token(request, f"{place}#invite", NewToken(INVITE, secret))


@told_on(show_place)
async def withdraw(request: Request) -> Response:
    """``POST .../withdraw`` with ``invitation``: its link opens nothing any more."""
    hub, account, form = await posted_form(request)
    where, place = await _where(request, hub, account)
    await withdraw_member_link(hub, account, field_text(form, "invitation"), **where)
    return redirect_with_flash(request, place, Flash(Action.UNINVITE, 1))


async def _where(request: Request, hub: Hub, account: Account) -> tuple[dict[str, str], str]:
    """What the address is about, as use cases take it, and its page."""
    if "project" in request.path_params:
        found = await find_one_project(hub, account, request.path_params["project"])
        return {"project": found.id}, f"/projects/{found.full_name}/"
    of = await find_organisation(hub, account, request.path_params["organisation"])
    return {"organisation": of.id}, f"{PLACE}{of.name}/"


async def choose(request: Request) -> Response:
    """``POST /choose-project`` with ``project``, empty for all; ``next``: the page that comes after."""
    hub, account, form = await posted_form(request)
    await choose_project(hub, account, field_text(form, "project"))
    return redirect(request, safe_path(field_text(form, "next") or "/jobs/"))


async def ask_to_join(request: Request) -> Response:
    """``GET /join/SECRET``: what the link makes of its follower."""
    hub, account = await current_account(request)
    secret = request.path_params["invitation"]
    return await page(request, "join.html.j2", account, joined=await read_member_link(hub, secret), secret=secret)


async def join(request: Request) -> Response:
    """``POST /join/SECRET``: become a member; the link is used then."""
    hub, account, _ = await posted_form(request)
    joined = await follow_member_link(hub, account, request.path_params["invitation"])
    place = f"/projects/{joined.project}/" if joined.project else f"{PLACE}{joined.organisation}/"
    return redirect_with_flash(request, place, Flash(Action.NAME_MEMBER, 1, with_whom=account.email))


def _in_path(name: str) -> str:
    return quote(name, safe="")


routes = [
    Route("/organisations/", listing),
    Route("/organisations/", make, methods=["POST"]),
    Route("/organisations/{organisation}/", show),
    Route("/organisations/{organisation}/projects", make_project, methods=["POST"]),
    Route("/organisations/{organisation}/members", members, methods=["POST"]),
    Route("/organisations/{organisation}/invite", invite, methods=["POST"]),
    Route("/organisations/{organisation}/withdraw", withdraw, methods=["POST"]),
    Route("/organisations/{organisation}/delete", end, methods=["POST"]),
    Route("/projects/{project}/", show_project),
    Route("/projects/{project}/members", members, methods=["POST"]),
    Route("/projects/{project}/invite", invite, methods=["POST"]),
    Route("/projects/{project}/withdraw", withdraw, methods=["POST"]),
    Route("/projects/{project}/retention", told_on(show_project)(keep), methods=["POST"]),
    Route("/projects/{project}/delete", end_project, methods=["POST"]),
    Route("/choose-project", choose, methods=["POST"]),
    Route("/join/{invitation}", ask_to_join),
    Route("/join/{invitation}", join, methods=["POST"]),
]
