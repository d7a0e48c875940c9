"""Who looks at a page: a cookie tells; and which forms are heeded: those that our own pages sent."""

from __future__ import annotations

from urllib.parse import quote, urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dynolab.errors import Forbidden, SpecInvalid, Unauthorized
from dynolab.hub.pages.rendering import is_fragment
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.open_session import SESSION_LIFE
from dynolab.hub.usecases.read_session import read_session

COOKIE = "dynolab_session"
FIELDS_MOST = 200


def the_hub(request: Request) -> Hub:
    """The hub's parts."""
    hub: Hub = request.app.state.hub
    return hub


async def visitor(request: Request) -> tuple[Hub, Account]:
    """The hub, and who asks. Raises :class:`Unauthorized` for somebody who is not signed in."""
    hub, session = the_hub(request), request.cookies.get(COOKIE, "")
    if not session:
        raise Unauthorized("you are not signed in", hint="sign in first")
    return hub, await read_session(hub, session)


async def sender(request: Request) -> tuple[Hub, Account, FormData]:
    """As :func:`visitor`, with the form that was sent. Raises :class:`Forbidden` for a form of another site."""
    from_here(request)
    hub, account = await visitor(request)
    return hub, account, await request.form(max_files=1, max_fields=FIELDS_MOST)


def from_here(request: Request) -> None:
    """Raises :class:`Forbidden` for a request that another site's page made the browser send.

    By Fetch Metadata (``Sec-Fetch-Site``), and where a browser does not send that, by ``Origin``; what has neither comes
    from no page of ours. The session's cookie is ``SameSite=Lax`` besides.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "")
    if site == "same-origin" if site is not None else urlsplit(origin).netloc == request.url.netloc != "":
        return
    raise Forbidden("this form was sent from another site's page", hint="open the hub's own page and send it there")


def text(form: FormData, name: str, default: str = "") -> str:
    """A field's text, trimmed. Raises :class:`SpecInvalid` for a file in its place, and for what no database keeps."""
    return typed(form, name, default).strip()


def typed(form: FormData, name: str, default: str = "") -> str:
    """As :func:`text`, with blanks at its ends as they were typed: those of a password count."""
    found = form.get(name, default)
    if not isinstance(found, str):
        raise SpecInvalid(f"the field {name!r} is a file, not text")
    if "\x00" in found:
        raise SpecInvalid(f"the field {name!r} holds a NUL character")
    return found


def go(request: Request, path: str) -> Response:
    """Another page, after a form was heeded. htmx follows a header, because a redirect would land in a part of the page."""
    if is_fragment(request):
        return Response(status_code=204, headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def safe(path: str) -> str:
    """A path of this hub to go on to; what leads elsewhere becomes the list of jobs."""
    parts = urlsplit(path)
    sound = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and path.isprintable()
    return path if sound else "/jobs/"


def to_sign_in(request: Request) -> Response:
    """The sign-in page, which leads back here; it says what became of a session that was, and of what was sent."""
    asked = urlsplit(request.headers.get("hx-current-url", "")) if is_fragment(request) else request.url
    here = (asked.path or "/jobs/") + (f"?{asked.query}" if asked.query else "")
    reads = request.method in ("GET", "HEAD")
    ended = "&ended=yes" if request.cookies.get(COOKIE) else ""
    return go(request, f"/sign-in?next={quote(here if reads else '/jobs/')}{ended}{'' if reads else '&unsent=yes'}")


def remember(request: Request, answer: Response, session: str) -> Response:
    """The answer, with the cookie that stands for the session."""
    life_s, secure = int(SESSION_LIFE.total_seconds()), request.url.scheme == "https"
    answer.set_cookie(COOKIE, session, max_age=life_s, httponly=True, samesite="lax", secure=secure)
    return answer
