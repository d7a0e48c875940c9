"""The audit log, for administrators, and everybody's own events."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse

from dynolab.hub.api.common import PAGE, Before, Caller, Filter, Limit, TheHub
from dynolab.hub.api.schemas import AuditEvent, AuditEvents, OwnEvents
from dynolab.hub.usecases.cursors import cut_page, decode_cursor
from dynolab.hub.usecases.find_audit import (
    MEDIA_TYPES,
    AuditFilter,
    export_audit,
    export_lines,
    find_audit,
    find_own_events,
)

router = APIRouter(tags=["audit"])


def _wanted(
    who: Annotated[Filter, Query(description="An e-mail address, `operator` or `hub`.")] = "",
    thing: Annotated[Filter, Query(description="The id of what it was done to.")] = "",
    verb: Annotated[Filter, Query(description="Such as `token.make`, or `token` for all of those.")] = "",
    outcome: Literal["", "ok", "refused"] = "",
    since: Annotated[datetime | None, Query(description="From this instant on.")] = None,
    until: Annotated[datetime | None, Query(description="Before this instant.")] = None,
) -> AuditFilter:
    return AuditFilter(who, thing, verb, outcome, since, until)


Wanted = Annotated[AuditFilter, Depends(_wanted)]


@router.get("/audit")
async def listing(
    hub: TheHub, account: Caller, wanted: Wanted, limit: Limit = PAGE, before: Before = None
) -> AuditEvents:
    """Who did what, newest first; for administrators."""
    rows = await find_audit(hub, account, wanted, limit=limit + 1, cursor=decode_cursor(before))
    shown, following = cut_page(rows, limit)
    return AuditEvents(events=[AuditEvent.model_validate(one) for one in shown], next=following)


@router.get(
    "/audit/export",
    response_class=StreamingResponse,
    responses={
        200: {"content": {one.partition(";")[0]: {"schema": {"type": "string"}} for one in MEDIA_TYPES.values()}}
    },
)
async def export(
    hub: TheHub, account: Caller, wanted: Wanted, format: Literal["csv", "jsonl"] = "jsonl"
) -> StreamingResponse:
    """All of it that is asked for, oldest first, as lines of JSON or as CSV; for administrators."""
    await find_audit(hub, account, wanted, limit=1)  # refused before anything is sent
    headers = {"Content-Disposition": f'attachment; filename="audit.{format}"', "Cache-Control": "no-store"}
    lines = export_lines(export_audit(hub, account, wanted), format)
    return StreamingResponse(lines, media_type=MEDIA_TYPES[format], headers=headers)


@router.get("/account/events")
async def own(hub: TheHub, account: Caller) -> OwnEvents:
    """The newest of what the account did, or was done to it."""
    return OwnEvents(events=[AuditEvent.model_validate(one) for one in await find_own_events(hub, account)])
