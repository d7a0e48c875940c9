"""Who may use a pool of devices, and whose pools may receive one's models: what the forms of device pages and account send."""

from __future__ import annotations

from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import NotFound
from dynolab.hub.pages.flash import Action, Flash, redirect_with_flash
from dynolab.hub.pages.posted_forms import field_text, posted_form
from dynolab.hub.pages.redirects import safe_path
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.change_pool import PoolChange, change_pool
from dynolab.hub.usecases.change_trust import stop_trusting, trust_owner
from dynolab.hub.usecases.find_pools import find_pools

FIELDS = {"send": "let_send", "join": "let_join"}


async def grant(request: Request) -> Response:
    """``POST /devices/pools/ID/grant`` with ``email`` and ``what``: ``send`` or ``join``."""
    hub, account, form = await posted_form(request)
    email, what = field_text(form, "email"), field_text(form, "what")
    if what not in FIELDS:
        raise NotFound(f"a pool grants no {what[:40]!r}", hint="send or join")
    change = PoolChange(let_send=[email]) if what == "send" else PoolChange(let_join=[email])
    return await _changed(request, hub, account, change, Action.LET_SEND if what == "send" else Action.LET_JOIN, email)


async def remove(request: Request) -> Response:
    """``POST /devices/pools/ID/remove`` with ``email``: may do neither any more."""
    hub, account, form = await posted_form(request)
    email = field_text(form, "email")
    return await _changed(request, hub, account, PoolChange(remove=[email]), Action.SHUT_OUT, email)


async def open_pool(request: Request) -> Response:
    """``POST /devices/pools/ID/open`` with ``open=yes``, or without to close it."""
    hub, account, form = await posted_form(request)
    is_open = field_text(form, "open") == "yes"
    return await _changed(request, hub, account, PoolChange(is_open=is_open), Action.OPEN if is_open else Action.CLOSE)


async def give(request: Request) -> Response:
    """``POST /devices/pools/ID/organisation`` with ``organisation``; empty: taken back."""
    hub, account, form = await posted_form(request)
    organisation = field_text(form, "organisation")
    return await _changed(request, hub, account, PoolChange(organisation=organisation), Action.GIVE, organisation)


async def trust(request: Request) -> Response:
    """``POST /devices/trust`` with ``owner``, and ``end=yes`` to trust no longer; ``next``: the page that comes after."""
    hub, account, form = await posted_form(request)
    owner, end = field_text(form, "owner"), bool(field_text(form, "end"))
    await (stop_trusting if end else trust_owner)(hub, account, owner)
    flash = Flash(Action.DISTRUST if end else Action.TRUST, 1, with_whom=owner)
    return redirect_with_flash(request, safe_path(field_text(form, "next") or "/devices/"), flash)


async def _changed(
    request: Request, hub: Hub, account: Account, change: PoolChange, what: Action, email: str = ""
) -> Response:
    pool_id = request.path_params["id"]
    await change_pool(hub, account, pool_id, change)
    name = next((one.name for one in await find_pools(hub, account) if one.id == pool_id), "")
    return redirect_with_flash(request, f"/devices/{quote(name, safe='')}", Flash(what, 1, name, with_whom=email))


routes = [
    Route("/devices/pools/{id}/grant", grant, methods=["POST"]),
    Route("/devices/pools/{id}/remove", remove, methods=["POST"]),
    Route("/devices/pools/{id}/open", open_pool, methods=["POST"]),
    Route("/devices/pools/{id}/organisation", give, methods=["POST"]),
    Route("/devices/trust", trust, methods=["POST"]),
]
