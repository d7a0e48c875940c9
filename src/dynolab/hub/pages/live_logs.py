"""The log of a job that runs, as far as it has come."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.hub.pages.live_updates import live_fragment
from dynolab.hub.pages.sessions import current_account
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.find_jobs import find_job
from dynolab.hub.usecases.read_log import read_live_log


async def live_log(hub: Hub, row: Row[Any]) -> dict[str, Any]:
    """What the template shows: the log's end, None where nothing was said yet or the whole log is there."""
    text = None if row.log_blob_id is not None else await read_live_log(hub, row)
    return {"live_log": text, "log_lives": row.finished_at is None}


async def show(request: Request) -> Response:
    """``GET /jobs/ID/live-log``: 204 where nothing was added."""
    hub, account = await current_account(request)
    row = await find_job(hub, account, request.path_params["id"])
    if row.finished_at is not None:
        return Response(status_code=204)
    return live_fragment(request, account, "_live_log.html.j2", **await live_log(hub, row))


routes = [Route("/jobs/{id}/live-log", show)]
