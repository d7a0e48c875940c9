"""Signing in and out by an OpenID Connect provider: the browser goes there and comes back; or the provider itself says who left."""

from __future__ import annotations

import logging
from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from dynolab.errors import RateLimited, SpecInvalid, Unauthorized, Unavailable
from dynolab.hub.pages.posted_forms import raw_field_text
from dynolab.hub.pages.redirects import safe_path
from dynolab.hub.pages.sessions import HINT_COOKIE, the_hub
from dynolab.hub.pages.sign_in import enter, sign_in_page
from dynolab.hub.pages.user_agents import browser_name
from dynolab.hub.store.oidc_flow import FLOW_LIFE_S
from dynolab.hub.usecases.end_sessions_by_oidc import end_sessions_by_oidc
from dynolab.hub.usecases.open_session import SESSION_LIFE
from dynolab.hub.usecases.sign_in_by_oidc import begin, complete, the_provider

FLOW_COOKIE, FLOW_PATH = "dynolab_oidc", "/sign-in/oidc"
CALLBACK = "sign-in/oidc/callback"
HINT_MOST = 3800
"""A browser keeps 4096 bytes of a cookie, its name and attributes included (RFC 6265, 6.1)."""
ANSWER_MOST = 4096
"""Characters of what the provider has the browser bring."""
REASONS = {
    "away": "oidc-away",
    "setup": "oidc-setup",
    "denied": "oidc-denied",
    "provider": "oidc-provider",
    "state": "oidc-state",
    "code": "oidc-code",
    "clock": "oidc-clock",
    "token": "oidc-token",
    "no-email": "oidc-no-email",
    "unverified": "oidc-unverified",
    "domain": "oidc-domain",
    "group": "oidc-group",
    "no-account": "oidc-no-account",
    "taken": "oidc-taken",
    "closed": "account-closed",
}
"""The texts that tell why somebody was not let in."""
NOT_KEPT = {"Cache-Control": "no-store"}
log = logging.getLogger(__name__)


async def leave_for_provider(request: Request) -> Response:
    """``GET /sign-in/oidc``, with ``next``: on to the provider."""
    following = safe_path(request.query_params.get("next", ""))
    try:
        flow, there = await begin(the_hub(request), following, _address(request, CALLBACK))
    except (Unauthorized, Unavailable) as error:
        return await _refused(request, following, error)
    answer = _redirect(there)
    secure = request.url.scheme == "https"
    answer.set_cookie(
        FLOW_COOKIE, flow.cookie, FLOW_LIFE_S, path=FLOW_PATH, httponly=True, samesite="lax", secure=secure
    )
    return answer


async def come_back(request: Request) -> Response:
    """``GET /sign-in/oidc/callback``: what the provider says; what is refused is told on the sign-in page."""
    hub, browser = the_hub(request), browser_name(request.headers.get("user-agent", ""))
    brought = {name: value[:ANSWER_MOST] for name, value in request.query_params.items()}
    if request.method != "GET":  # who asks for the head alone must not use the code up
        return Response(status_code=405, headers={"Allow": "GET"})
    try:
        cookie = request.cookies.get(FLOW_COOKIE, "")
        signed_in = await complete(hub, cookie, brought, _address(request, CALLBACK), browser)
    except (Unauthorized, Unavailable) as error:
        answer = await _refused(request, "/jobs/", error)
    else:
        answer = await enter(request, safe_path(signed_in.following), signed_in.session)
        await _keep_hint(request, answer, signed_in.id_token)
    answer.delete_cookie(FLOW_COOKIE, path=FLOW_PATH)
    return answer


async def leave_there(request: Request) -> Response:
    """``GET /sign-out/oidc``: on to the provider, which ends its own session and leads back; signed out here one is already."""
    provider = the_provider(the_hub(request)).provider
    try:
        there = await provider.sign_out_url(request.cookies.get(HINT_COOKIE, ""), _address(request, "sign-in"))
    except (Unauthorized, Unavailable) as error:
        return await _refused(request, "/jobs/", error)
    answer = _redirect(there or "/sign-in")
    answer.delete_cookie(HINT_COOKIE, path="/sign-out")
    return answer


async def signed_out_there(request: Request) -> Response:
    """``POST /sign-out/oidc/back-channel`` with ``logout_token``: the provider itself says whose sessions it ended.

    Answered as OpenID Connect Back-Channel Logout 1.0, section 2.8, has it.
    """
    form = await request.form(max_files=0, max_fields=10)
    try:
        await end_sessions_by_oidc(the_hub(request), raw_field_text(form, "logout_token"))
    except (Unauthorized, SpecInvalid) as error:
        log.warning("logout by OpenID Connect: %s", error.message)
        told, status = {"error": "invalid_request", "error_description": error.message}, HTTPStatus.BAD_REQUEST
    except (Unavailable, RateLimited) as error:
        log.warning("logout by OpenID Connect: %s", error.message)
        told = {"error": "temporarily_unavailable", "error_description": error.message}
        status = HTTPStatus(error.http_status)
    else:
        return Response(headers=NOT_KEPT)
    return JSONResponse(told, status, NOT_KEPT)


async def _keep_hint(request: Request, answer: Response, id_token: str) -> None:
    """Have the browser keep what it signs out at the provider with, where that offers it."""
    provider = the_provider(the_hub(request)).provider
    if len(id_token) > HINT_MOST or await provider.sign_out_url("", _address(request, "sign-in")) is None:
        return
    life_s, secure = int(SESSION_LIFE.total_seconds()), request.url.scheme == "https"
    answer.set_cookie(HINT_COOKIE, id_token, life_s, path="/sign-out", httponly=True, samesite="lax", secure=secure)


async def _refused(request: Request, following: str, error: Unauthorized | Unavailable) -> Response:
    log.warning("sign-in by OpenID Connect: %s", error.message)
    words = REASONS[str(error.details["reason"])]
    return await sign_in_page(request, following, words, status=error.http_status)


def _address(request: Request, path: str) -> str:
    return f"{request.app.state.base_url(request)}{path}"


def _redirect(there: str) -> Response:
    return RedirectResponse(there, 303, headers={"Cache-Control": "no-store", "Referrer-Policy": "no-referrer"})


routes = [
    Route(FLOW_PATH, leave_for_provider),
    Route(f"/{CALLBACK}", come_back),
    Route("/sign-out/oidc", leave_there),
    Route("/sign-out/oidc/back-channel", signed_out_there, methods=["POST"]),
]
