"""The log of a job that runs, as far as it has come."""

from __future__ import annotations

import hashlib
from typing import Any

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from dynolab.hub.pages.rendering import HEADERS, render
from dynolab.hub.pages.visitors import visitor
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.find_jobs import find_job
from dynolab.hub.usecases.read_log import read_live_log


async def live_log(hub: Hub, row: Row[Any]) -> dict[str, Any]:
    """What the template shows: the log's end, None where nothing was said yet or the whole log is there."""
    text = None if row.log_blob_id is not None else await read_live_log(hub, row)
    return {"live_log": text, "log_job": row.id, "log_lives": row.finished_at is None}


async def show(request: Request) -> Response:
    """``GET /jobs/ID/live-log``: 204 where nothing was added."""
    hub, account = await visitor(request)
    row = await find_job(hub, account, request.path_params["id"])
    if row.finished_at is not None:
        return Response(status_code=204)
    content = render(request, "_live_log.html.j2", account, **await live_log(hub, row))
    seen = hashlib.sha256(content.encode()).hexdigest()[:16]
    if request.query_params.get("seen") == seen:
        return Response(status_code=204)
    return HTMLResponse(content.replace("seen=0", f"seen={seen}", 1), headers=HEADERS)


routes = [Route("/jobs/{id}/live-log", show)]
