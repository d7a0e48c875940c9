"""The account: who is signed in, tokens, browsers, the password, and what to type to begin."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dynolab.errors import Forbidden, SpecInvalid
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
from dynolab.hub.pages.posted_forms import field_text, posted_form, raw_field_text, told_on
from dynolab.hub.pages.redirects import redirect
from dynolab.hub.pages.rendering import page
from dynolab.hub.pages.retention import keep
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.check_password import PASSWORD_MOST
from dynolab.hub.usecases.end_session import end_other_sessions, end_session
from dynolab.hub.usecases.find_account import find_account
from dynolab.hub.usecases.find_audit import find_own_events
from dynolab.hub.usecases.find_devices import find_devices
from dynolab.hub.usecases.find_organisations import find_organisations
from dynolab.hub.usecases.find_pools import find_trusted
from dynolab.hub.usecases.find_sessions import find_sessions
from dynolab.hub.usecases.find_tokens import find_tokens
from dynolab.hub.usecases.make_token import PREFIXES, TokenTerms, make_own_token
from dynolab.hub.usecases.quotas import read_usage
from dynolab.hub.usecases.revoke_token import revoke_token
from dynolab.hub.usecases.rotate_token import rotate_token
from dynolab.hub.usecases.scopes import SCOPES, strongest
from dynolab.hub.usecases.set_password import PASSWORD_LEAST, change_password
from dynolab.hub.usecases.sign_in import USED_EVERY, rotate_after


async def show(request: Request) -> Response:
    """``GET /account/``; once after a token was made, with its secret."""
    hub, account = await current_account(request)
    return clear_flash(request, await _page(request, hub, account))


async def without_slash(request: Request) -> Response:
    """``GET /account``."""
    return RedirectResponse("/account/", 307)


@told_on(show)
async def make(request: Request) -> Response:
    """``POST /account/tokens`` with ``kind``, ``label``, ``scope``, ``days`` and ``project``: back to the page, which shows the secret, once."""
    hub, account, form = await posted_form(request)
    kind, label, scope = (field_text(form, name) for name in ("kind", "label", "scope"))
    scopes = [scope] if scope and kind == "user" else []  # an agent's are all alike
    project = field_text(form, "project") if kind == "user" else ""
    terms = TokenTerms(scopes, _days(field_text(form, "days")), made_by="page")
    _, secret = await make_own_token(hub, account, kind=kind, label=label, terms=terms, project=project)
    return redirect_with_new_token(request, "/account/#made", NewToken(kind, secret))


async def rotate(request: Request) -> Response:
    """``POST /account/tokens/ID/rotate``: back to the page, which shows the new secret, once."""
    hub, account, _ = await posted_form(request)
    row, secret = await rotate_token(hub, account, request.path_params["id"])
    return redirect_with_new_token(request, "/account/#made", NewToken(row.kind, secret))


def _days(text: str) -> float | None:
    """A number of days that was typed; None: none was. Raises :class:`SpecInvalid`."""
    try:
        return float(text) if text else None
    except ValueError as error:
        raise SpecInvalid(f"{text[:40]!r} is no number of days", hint="such as 90; 0: without an end") from error


async def revoke(request: Request) -> Response:
    """``POST /account/tokens/ID/revoke``; whoever revokes the token of his own session is signed out."""
    hub, account, _ = await posted_form(request)
    token_id = request.path_params["id"]
    await revoke_token(hub, account, token_id)
    label = next((row.label for row in await find_tokens(hub, account) if row.id == token_id), "")
    return redirect_with_flash(request, "/account/", Flash(Action.REVOKE, 1, label or token_id))


async def end(request: Request) -> Response:
    """``POST /account/sessions/ID/end``; whoever ends his own is signed out."""
    hub, account, _ = await posted_form(request)
    await end_session(hub, account, request.path_params["id"])
    return redirect_with_flash(request, "/account/", Flash(Action.SIGN_OUT, 1))


async def end_others(request: Request) -> Response:
    """``POST /account/sessions/end-others``."""
    hub, account, _ = await posted_form(request)
    await end_other_sessions(hub, account)
    return redirect_with_flash(request, "/account/", Flash(Action.SIGN_OUT_OTHERS, 1))


@told_on(show, "/account/", Forbidden)
async def password(request: Request) -> Response:
    """``POST /account/password`` with ``current``, ``password`` and ``again``, or with ``remove=yes``."""
    hub, account, form = await posted_form(request)
    current, wanted, again = (raw_field_text(form, name) for name in ("current", "password", "again"))
    if not field_text(form, "remove") and wanted != again:
        raise SpecInvalid("the two new passwords are not the same", hint="go back and type both again")
    await change_password(hub, account, None if field_text(form, "remove") else wanted, current=current)
    return redirect(request, "/account/?changed=password")


async def _page(request: Request, hub: Hub, account: Account) -> Response:
    made = read_new_token(request)
    tokens = await find_tokens(hub, account)
    address = str(request.app.state.base_url(request)).rstrip("/")
    devices = await find_devices(hub, account)
    now = datetime.now(UTC)
    projects = [one for each in await find_organisations(hub, account) for one in each.projects]
    return await page(
        request,
        "account.html.j2",
        account,
        known=await find_account(hub, account),
        tokens=[row for row in tokens if row.revoked_at is None],
        held={row.id: strongest(row.kind, row.scopes) for row in tokens},
        expired={row.id for row in tokens if row.expires_at is not None and row.expires_at <= now},
        due={row.id for row in tokens if (at := rotate_after(row)) is not None and at <= now},
        replaced={row.id for row in tokens if row.previous_until is not None and row.previous_until > now},
        scopes=SCOPES["user"],
        overlap_h=max(1, round(hub.limits.token_overlap / timedelta(hours=1))),
        life=_in_days(hub.limits.token_life),
        life_max=_in_days(hub.limits.token_life_max),
        revoked=[row for row in tokens if row.revoked_at is not None],
        projects=[one for one in projects if one.role],
        project_names={one.id: one.full_name for one in projects},
        usage=await read_usage(hub, account, account.project_id if account.is_bound else None),
        sessions=await find_sessions(hub, account),
        trusted=await find_trusted(hub, account),
        events=await find_own_events(hub, account),
        kinds=tuple(PREFIXES),
        flash=read_flash(request),
        made=made,
        changed=request.query_params.get("changed") == "password",
        used_every=int(USED_EVERY.total_seconds() // 60),
        least=PASSWORD_LEAST,
        most=PASSWORD_MOST,
        address=address,
        user_token=made.secret if made is not None and made.kind == "user" else None,
        device=json.dumps(devices[0].name if devices else "DEVICE", ensure_ascii=False),
    )


def _in_days(span: timedelta | None) -> float | None:
    return None if span is None else span / timedelta(days=1)


routes = [
    Route("/account", without_slash),
    Route("/account/", show),
    Route("/account/tokens", make, methods=["POST"]),
    Route("/account/tokens/{id}/revoke", revoke, methods=["POST"]),
    Route("/account/tokens/{id}/rotate", rotate, methods=["POST"]),
    Route("/account/sessions/{id}/end", end, methods=["POST"]),
    Route("/account/sessions/end-others", end_others, methods=["POST"]),
    Route("/account/retention", told_on(show)(keep), methods=["POST"]),
    Route("/account/password", password, methods=["POST"]),
]
