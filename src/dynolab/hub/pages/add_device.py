"""How a machine becomes a device of this hub: a line to type there, and what becomes of it."""

from __future__ import annotations

from datetime import UTC, datetime
from math import ceil
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab import own_wheel
from dynolab.errors import NotFound
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
from dynolab.hub.pages.live_updates import live_page
from dynolab.hub.pages.posted_forms import field_text, posted_form, told_on
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.find_join_token import Joining, find_join_token, find_join_tokens, revoke_join_token
from dynolab.hub.usecases.make_join_token import JOIN_LIFE, make_join_token
from dynolab.spec.joining import PLACE as INSTALLED
from dynolab.spec.joining import join_command

PLACE, JOIN = "/add-device", "join"
NOWHERE = ("127.0.0.1", "localhost", "::1")
"""Addresses that lead to the machine itself, on each another."""


async def show(request: Request) -> Response:
    """``GET /add-device``; with ``joining=ID`` what became of a join token, and once after it was made the line with it."""
    hub, account = await current_account(request)
    address = str(request.app.state.base_url(request)).rstrip("/")
    joining = await _joining(hub, account, request.query_params.get("joining", ""))
    made = read_new_token(request)
    secret = made.secret if made is not None and made.kind == JOIN else None
    shown = {
        "joining": joining,
        "left": 0 if joining is None else max(0, ceil((joining.expires_at - datetime.now(UTC)).total_seconds() / 60)),
        "line": secret and join_command(address, own_wheel.file_name(), secret),
        "address": address,
        "here_only": urlsplit(address).hostname in NOWHERE,
        "minutes": int(JOIN_LIFE.total_seconds() // 60),
        "installed": INSTALLED,
        "waiting": [] if account.is_bound else await find_join_tokens(hub, account),
        "flash": read_flash(request),
    }
    return clear_flash(request, await live_page(request, account, "add_device", **shown))


@told_on(show, PLACE)
async def make(request: Request) -> Response:
    """``POST /add-device`` with ``name``: on to the page that shows the line, once."""
    hub, account, form = await posted_form(request)
    id, secret = await make_join_token(hub, account, field_text(form, "name"))
    return redirect_with_new_token(request, f"{PLACE}?joining={id}#line", NewToken(JOIN, secret))


@told_on(show, PLACE)
async def revoke(request: Request) -> Response:
    """``POST /add-device/revoke`` with ``token``, the id of a join token that waits for its machine."""
    hub, account, form = await posted_form(request)
    id = field_text(form, "token")
    name = await revoke_join_token(hub, account, id)
    return redirect_with_flash(request, PLACE, Flash(Action.REVOKE_JOIN, 1, name or id))


async def _joining(hub: Hub, account: Account, id: str) -> Joining | None:
    try:
        return await find_join_token(hub, account, id) if id else None
    except NotFound:  # of an old address
        return None


routes = [
    Route(PLACE, show),
    Route(PLACE, make, methods=["POST"]),
    Route(f"{PLACE}/revoke", revoke, methods=["POST"]),
]
