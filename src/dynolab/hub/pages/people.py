"""The people of the hub, for those who run it: who has an account; accounts are made, closed and opened again."""

from __future__ import annotations

from functools import partial
from urllib.parse import urlencode

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
from dynolab.hub.pages.paging import CURSORS, read_page
from dynolab.hub.pages.posted_forms import field_text, posted_form, told_on
from dynolab.hub.pages.rendering import is_fragment, page
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.add_account import add_account
from dynolab.hub.usecases.change_admin import set_admin
from dynolab.hub.usecases.close_account import close_account, open_account
from dynolab.hub.usecases.find_accounts import STATES, AccountFilter, State, find_accounts

PLACE, MADE = "/people/", "account"
FILTERS = ("text", "state")


async def show(request: Request) -> Response:
    """``GET /people/`` with ``text`` and ``state``; once after an account was made, with its first token."""
    hub, account = await current_account(request)
    typed = {name: request.query_params.get(name, "").strip().replace("\x00", "") for name in FILTERS}
    state: State = next((one for one in STATES if one == typed["state"]), "")
    wanted = AccountFilter(typed["text"], state)
    found, made = await read_page(request, partial(find_accounts, hub, account, wanted)), read_new_token(request)
    answer = await page(
        request,
        "_people.html.j2" if is_fragment(request) else "people.html.j2",
        account,
        found=found,
        typed=typed,
        states=STATES,
        here=_here(request),
        flash=read_flash(request),
        made=made if made is not None and made.kind == MADE else None,
    )
    return clear_flash(request, answer)


def _here(request: Request) -> str:
    """The filters and the page that a form was sent from, as they stand behind an address."""
    query = urlencode({name: text for name in (*FILTERS, *CURSORS) if (text := request.query_params.get(name))})
    return f"?{query}" if query else ""


@told_on(show)
async def make(request: Request) -> Response:
    """``POST /people/`` with ``email``, ``name`` and ``admin``: on to the page that shows the account and its token, once."""
    hub, account, form = await posted_form(request)
    email, is_admin = field_text(form, "email"), bool(field_text(form, "admin"))
    secret = await add_account(hub, account, email, field_text(form, "name"), is_admin)
    place = f"{PLACE}?{urlencode({'text': email})}"
    return redirect_with_new_token(request, place, NewToken(MADE, secret, email))


@told_on(show)
async def close(request: Request) -> Response:
    """``POST /people/close`` with ``email``."""
    hub, account, form = await posted_form(request)
    closed = await close_account(hub, account, field_text(form, "email"))
    return _told(request, Action.CLOSE_ACCOUNT, closed.email)


@told_on(show)
async def reopen(request: Request) -> Response:
    """``POST /people/open`` with ``email``."""
    hub, account, form = await posted_form(request)
    return _told(request, Action.OPEN_ACCOUNT, await open_account(hub, account, field_text(form, "email")))


@told_on(show)
async def admin(request: Request) -> Response:
    """``POST /people/admin`` with ``email``, and ``end=yes`` where the account is to run the hub no more."""
    hub, account, form = await posted_form(request)
    ends = bool(field_text(form, "end"))
    email = await set_admin(hub, account, field_text(form, "email"), not ends)
    return _told(request, Action.END_ADMIN if ends else Action.GIVE_ADMIN, email)


def _told(request: Request, action: Action, email: str) -> Response:
    return redirect_with_flash(request, f"{PLACE}{_here(request)}", Flash(action, 1, with_whom=email))


routes = [
    Route(PLACE, show),
    Route(PLACE, make, methods=["POST"]),
    Route(f"{PLACE}close", close, methods=["POST"]),
    Route(f"{PLACE}open", reopen, methods=["POST"]),
    Route(f"{PLACE}admin", admin, methods=["POST"]),
]
