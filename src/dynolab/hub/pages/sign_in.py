"""Signing in and out, and the language to read."""

from __future__ import annotations

from http import HTTPStatus

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import RateLimited, SpecInvalid, Unauthorized, UserError
from dynolab.hub.pages.posted_forms import check_same_origin, field_text, raw_field_text
from dynolab.hub.pages.redirects import redirect, safe_path
from dynolab.hub.pages.rendering import LANGUAGE_COOKIE, page
from dynolab.hub.pages.sessions import HINT_COOKIE, SESSION_COOKIE, current_account, set_session_cookie, the_hub
from dynolab.hub.pages.texts import languages
from dynolab.hub.pages.user_agents import browser_name
from dynolab.hub.usecases.end_session import sign_out
from dynolab.hub.usecases.open_session import open_by_invitation, open_by_password, open_by_token

YEAR_S = 365 * 24 * 3600


async def show(request: Request) -> Response:
    """``GET /sign-in``."""
    return await sign_in_page(request, safe_path(request.query_params.get("next", "")))


async def sign_in(request: Request) -> Response:
    """``POST /sign-in`` with ``token``, or ``email`` and ``password``, and ``next``; what is refused is told in the form."""
    check_same_origin(request)
    form = await request.form(max_files=0, max_fields=10)
    following, email = safe_path(field_text(form, "next")), field_text(form, "email")
    hub = the_hub(request)
    browser = browser_name(request.headers.get("user-agent", ""))
    try:
        if email:
            session = await open_by_password(hub, email, raw_field_text(form, "password"), browser)
        else:
            session = await open_by_token(hub, field_text(form, "token"), browser)
    except (Unauthorized, SpecInvalid, RateLimited) as error:
        refused = await sign_in_page(request, following, _words(email, error), status=error.http_status, email=email)
        if error.retry_after_s is not None:
            refused.headers["Retry-After"] = str(error.retry_after_s)
        return refused
    return await enter(request, following, session)


async def enter(request: Request, path: str, session: str) -> Response:
    """On to a page, signed in anew: the session that this browser had before is over."""
    await sign_out(the_hub(request), request.cookies.get(SESSION_COOKIE, ""))
    return set_session_cookie(request, redirect(request, path), session)


async def sign_in_page(
    request: Request, following: str, refusal: str | None = None, *, status: int = HTTPStatus.OK, email: str = ""
) -> Response:
    """The sign-in page; ``refusal`` is the id of the text that tells what was refused."""
    asked, there = request.query_params, the_hub(request).oidc
    became = [words for name, words in (("ended", "signed-out-elsewhere"), ("unsent", "not-done")) if name in asked]
    return await page(
        request,
        "sign_in.html.j2",
        status=status,
        following=following,
        email=email,
        refusal=refusal,
        became=became,
        provider=None if there is None else there.provider.settings.name,
        left=there is not None and "left" in asked,
    )


def _words(email: str, refusal: UserError) -> str:
    if isinstance(refusal, RateLimited):
        return "sign-in-too-often"
    if refusal.details.get("reason") == "closed":
        return "account-closed"
    return "password-refused" if email else "sign-in-refused"


async def invited(request: Request) -> Response:
    """``GET /welcome/INVITATION``: the link that the hub prints when it starts. It works once; whom it let in may come again."""
    browser = browser_name(request.headers.get("user-agent", ""))
    try:
        if request.method != "GET":  # who asks for the head alone looks whether the link is there
            raise Unauthorized("the link is to be opened")
        session = await open_by_invitation(the_hub(request), request.path_params["invitation"], browser)
    except Unauthorized as error:
        if await _signed_in(request):
            return redirect(request, "/jobs/")
        return await sign_in_page(request, "/jobs/", "invitation-refused", status=error.http_status)
    return await enter(request, "/jobs/", session)


async def _signed_in(request: Request) -> bool:
    try:
        await current_account(request)
    except Unauthorized:
        return False
    return True


async def leave(request: Request) -> Response:
    """``POST /sign-out``."""
    check_same_origin(request)
    await sign_out(the_hub(request), request.cookies.get(SESSION_COOKIE, ""))
    answer = redirect(request, "/sign-in?left=yes" if HINT_COOKIE in request.cookies else "/sign-in")
    answer.delete_cookie(SESSION_COOKIE)
    return answer


async def speak(request: Request) -> Response:
    """``POST /language`` with ``language`` and ``next``."""
    check_same_origin(request)
    form = await request.form(max_files=0, max_fields=10)
    answer = redirect(request, safe_path(field_text(form, "next")))
    if field_text(form, "language") in languages():
        answer.set_cookie(LANGUAGE_COOKIE, field_text(form, "language"), max_age=YEAR_S, samesite="lax")
    return answer


routes = [
    Route("/sign-in", show),
    Route("/sign-in", sign_in, methods=["POST"]),
    Route("/welcome/{invitation}", invited),
    Route("/sign-out", leave, methods=["POST"]),
    Route("/language", speak, methods=["POST"]),
]
