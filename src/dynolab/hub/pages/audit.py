"""The audit log, for those who run the hub."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route

from dynolab.errors import SpecInvalid
from dynolab.hub.pages.paging import read_page
from dynolab.hub.pages.rendering import HEADERS, is_fragment, page
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.audit import VERBS
from dynolab.hub.usecases.find_audit import MEDIA_TYPES, AuditFilter, export_audit, export_lines, find_audit

FIELDS = ("who", "thing", "verb", "outcome", "since", "until")
GROUPS = tuple(dict.fromkeys(verb.partition(".")[0] for verb in VERBS))


async def show(request: Request) -> Response:
    """``GET /audit``, with filters."""
    hub, account = await current_account(request)
    wanted, typed = _wanted(request), {name: request.query_params.get(name, "") for name in FIELDS}
    found = await read_page(request, partial(find_audit, hub, account, wanted))
    return await page(
        request,
        "_audit.html.j2" if is_fragment(request) else "audit.html.j2",
        account,
        found=found,
        typed=typed,
        groups=GROUPS,
        verbs=VERBS,
        query=urlencode({name: value for name, value in typed.items() if value}),
    )


async def export(request: Request) -> Response:
    """``GET /audit/export/FORMAT``, with the same filters: ``csv`` or ``jsonl``."""
    hub, account = await current_account(request)
    format, wanted = request.path_params["format"], _wanted(request)
    await find_audit(hub, account, wanted, limit=1)  # refused before anything is sent
    if format not in MEDIA_TYPES:
        raise SpecInvalid(f"the audit log is not exported as {format[:40]!r}", hint=f"known: {', '.join(MEDIA_TYPES)}")
    headers = {**HEADERS, "Content-Disposition": f'attachment; filename="audit.{format}"'}
    lines = export_lines(export_audit(hub, account, wanted), format)
    return StreamingResponse(lines, media_type=MEDIA_TYPES[format], headers=headers)


def _wanted(request: Request) -> AuditFilter:
    """Raises :class:`SpecInvalid` for a day that is none."""
    who, thing, verb, outcome, since, until = (
        request.query_params.get(name, "").strip().replace("\x00", "") for name in FIELDS
    )
    last = _day(until)
    return AuditFilter(who, thing, verb, outcome, _day(since), None if last is None else last + timedelta(days=1))


def _day(text: str) -> datetime | None:
    """The beginning of a day, in UTC; None: none was said."""
    try:
        return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC) if text else None
    except ValueError as error:
        raise SpecInvalid(f"{text[:40]!r} is no day", hint="such as 2026-01-31") from error


routes = [Route("/audit", show), Route("/audit/export/{format}", export)]
