"""A page: its template, what every page knows, and the headers that keep it to itself."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from functools import cache, partial
from http import HTTPStatus
from pathlib import Path
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from dynolab.errors import Error
from dynolab.hub.pages import assets, texts
from dynolab.hub.pages.refused_forms import page_path, refused_form
from dynolab.hub.pages.texts.sentences import Parts
from dynolab.hub.usecases.base import Account
from dynolab.report.base import Say
from dynolab.report.html.environment import Environment, environment
from dynolab.report.html.words import prose
from dynolab.spec.show import show_bytes, show_time

TEMPLATES = Path(__file__).parent / "templates"
LANGUAGE_COOKIE = "dynolab_language"
POLICY = (
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self' data:; connect-src 'self'; "
    "font-src 'self'; frame-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cache-Control": "no-store",
    "Vary": "Cookie, Accept-Language, HX-Request",
}


def is_fragment(request: Request) -> bool:
    """Whether htmx asks, for a part of a page."""
    return request.headers.get("hx-request") == "true"


def language(request: Request) -> str:
    """The language that the visitor reads."""
    return texts.chosen(request.cookies.get(LANGUAGE_COOKIE, ""), request.headers.get("accept-language", ""))


def say(request: Request) -> Say:
    """What says the report's words in the visitor's language."""
    return texts.texts(language(request)).say


def words(request: Request, error: Error) -> list[dict[str, object]]:
    """A refusal as the page's script shows it: stretches of text, each with whether it stayed English."""
    return [{"text": part.text, "english": part.english} for part in texts.texts(language(request)).told(error)]


async def page(
    request: Request, template: str, account: Account | None = None, *, status: int = HTTPStatus.OK, **shown: Any
) -> Response:
    """The template's page for this account. Rendered beside the event loop: a profile of 10,000 layers takes a while."""
    content = await asyncio.to_thread(render, request, template, account, **shown)
    return HTMLResponse(content, status, HEADERS)


def render(request: Request, template: str, account: Account | None, **shown: Any) -> str:
    """The template as text."""
    spoken = texts.texts(language(request))
    known = {
        "request": request,
        "refused": refused_form(request),
        "page_path": page_path(request),
        "account": account,
        "t": spoken,
        "languages": texts.languages(),
        "now": datetime.now(UTC),
    }
    return _environment(spoken.language).get_template(template).render(**known, **shown)


@cache
def _environment(language: str) -> Environment:
    """The templates in one language: what the report's own say is bound to it."""
    spoken = texts.texts(language)
    made = environment(
        TEMPLATES,
        glossary="/definitions",
        language=language,
        say=spoken.say,
        definitions=spoken.definitions(),
        stored=lambda text: _marked(spoken.stored(text)),
    )
    made.globals.update(asset=assets.address)
    made.filters.update(bytes=show_bytes, duration=show_time, instant=_instant, ago=partial(_ago, spoken))
    made.filters.update(told=lambda error: _marked(spoken.told(error)))
    return made


def _marked(parts: Parts) -> Markup:
    """Sentences as they are set; what stayed English among them says so."""
    english = Markup('<span lang="en">{}</span>')
    return Markup("").join(english.format(prose(part.text)) if part.english else prose(part.text) for part in parts)


def _ago(spoken: texts.Texts, at: datetime) -> str:
    """How long ago an instant of the last days was; of others, the date."""
    seconds = (datetime.now(UTC) - at).total_seconds()
    if not -60 < seconds < 7 * 86_400:
        return at.astimezone(UTC).strftime("%Y-%m-%d")
    for unit, size in (("days", 86_400), ("hours", 3600), ("minutes", 60)):
        if seconds >= size:
            return spoken(f"{unit}-ago", count=int(seconds // size))
    return spoken("just-now")


def _instant(at: datetime, seconds: bool = False) -> str:
    """An instant in UTC, to the minute or the second."""
    return at.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S" if seconds else "%Y-%m-%d %H:%M")
