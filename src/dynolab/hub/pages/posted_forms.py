"""Forms that our own pages post: checked for their origin, and their fields read."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import Response

from dynolab.errors import Conflict, Forbidden, NotFound, SpecInvalid, UserError
from dynolab.hub.pages.refused_forms import RefusedForm, tell_refused
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.base import Account, Hub

FIELDS_MOST = 200
TYPED_MOST = 2000
"""Characters of a field that come back with a refusal."""
Route = Callable[[Request], Awaitable[Response]]


async def posted_form(request: Request) -> tuple[Hub, Account, FormData]:
    """As :func:`~dynolab.hub.pages.sessions.current_account`, with the form that was sent. Raises :class:`Forbidden` for a form of another site."""
    check_same_origin(request)
    hub, account = await current_account(request)
    return hub, account, await request.form(max_files=1, max_fields=FIELDS_MOST)


def check_same_origin(request: Request) -> None:
    """Raises :class:`Forbidden` for a request that another site's page made the browser send.

    By Fetch Metadata (``Sec-Fetch-Site``), and where a browser does not send that, by ``Origin``; what has neither comes
    from no page of ours. The session's cookie is ``SameSite=Lax`` besides.
    """
    site, origin = request.headers.get("sec-fetch-site"), request.headers.get("origin", "")
    if site == "same-origin" if site is not None else urlsplit(origin).netloc == request.url.netloc != "":
        return
    raise Forbidden("this form was sent from another site's page", hint="open the hub's own page and send it there")


def field_text(form: FormData, name: str, default: str = "") -> str:
    """A field's text, trimmed. Raises :class:`SpecInvalid` for a file in its place, and for what no database keeps."""
    return raw_field_text(form, name, default).strip()


def raw_field_text(form: FormData, name: str, default: str = "") -> str:
    """As :func:`field_text`, with blanks at its ends as they were typed: those of a password count."""
    found = form.get(name, default)
    if not isinstance(found, str):
        raise SpecInvalid(f"the field {name!r} is a file, not text")
    if "\x00" in found:
        raise SpecInvalid(f"the field {name!r} holds a NUL character")
    return found


def told_on(show: Route, path: str = "", *more: type[UserError]) -> Callable[[Route], Route]:
    """What a form's route becomes whose refusals ``show`` tells, at ``path`` (without it: the form's address without its last word).

    What the account may not do or see is told on a page of its own, unless it is one of ``more``.
    """
    kinds: tuple[type[UserError], ...] = (SpecInvalid, NotFound, Conflict, *more)

    def told(act: Route) -> Route:
        @functools.wraps(act)
        async def answered(request: Request) -> Response:
            check_same_origin(request)
            try:
                return await act(request)
            except kinds as error:
                refused = error
            form = await request.form(max_files=1, max_fields=FIELDS_MOST)
            fields = {name: value[:TYPED_MOST] for name, value in form.items() if isinstance(value, str)}
            place, _, name = request.url.path.rpartition("/")
            tell_refused(request, path or f"{place}/", RefusedForm(name, refused, fields))
            answer = await show(request)
            answer.status_code = refused.http_status
            return answer

        return answered

    return told
