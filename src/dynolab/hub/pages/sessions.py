"""Sessions of browsers: a cookie tells who is signed in."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from dynolab.errors import Unauthorized
from dynolab.hub.pages.redirects import redirect
from dynolab.hub.pages.rendering import is_fragment
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.open_session import SESSION_LIFE
from dynolab.hub.usecases.read_session import read_session

SESSION_COOKIE = "dynolab_session"
HINT_COOKIE = "dynolab_oidc_hint"
"""The provider's ID token of a browser that signed in by it, where one can sign out there too; sent below ``/sign-out`` alone."""


def the_hub(request: Request) -> Hub:
    """The hub's parts."""
    hub: Hub = request.app.state.hub
    return hub


async def current_account(request: Request, *, any_scope: bool = False) -> tuple[Hub, Account]:
    """The hub, and who asks. Raises :class:`Unauthorized` for somebody who is not signed in.

    Unless ``any_scope``, raises :class:`Forbidden` where the token that the browser was signed in by is not for such a request.
    """
    hub, session = the_hub(request), request.cookies.get(SESSION_COOKIE, "")
    if not session:
        raise Unauthorized("you are not signed in", hint="sign in first")
    return hub, await read_session(hub, session, any_scope=any_scope)


def redirect_to_sign_in(request: Request) -> Response:
    """The sign-in page, which leads back here; it says what became of a session that was, and of what was sent."""
    asked = urlsplit(request.headers.get("hx-current-url", "")) if is_fragment(request) else request.url
    here = (asked.path or "/jobs/") + (f"?{asked.query}" if asked.query else "")
    reads = request.method in ("GET", "HEAD")
    ended = "&ended=yes" if request.cookies.get(SESSION_COOKIE) else ""
    return redirect(
        request, f"/sign-in?next={quote(here if reads else '/jobs/')}{ended}{'' if reads else '&unsent=yes'}"
    )


def set_session_cookie(request: Request, answer: Response, session: str) -> Response:
    """The answer, with the cookie that stands for the session."""
    life_s, secure = int(SESSION_LIFE.total_seconds()), request.url.scheme == "https"
    answer.set_cookie(SESSION_COOKIE, session, max_age=life_s, httponly=True, samesite="lax", secure=secure)
    return answer
