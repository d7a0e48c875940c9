"""The timeline of a job's profile, by an address that authorises itself: AI Hub's client asks for it so."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import NotFound
from dynolab.hub.pages.profiles import report_format
from dynolab.hub.pages.rendering import HEADERS
from dynolab.hub.pages.sessions import the_hub
from dynolab.hub.usecases.find_jobs import find_job
from dynolab.hub.usecases.open_link import open_trace
from dynolab.hub.usecases.read_profile import read_profile


async def trace(request: Request) -> Response:
    """``GET /traces/TOKEN/NAME``: drawn up of the profile when it is asked for."""
    hub = the_hub(request)
    account, job_id = await open_trace(hub, request.path_params["token"])
    profile = await read_profile(hub, await find_job(hub, account, job_id))
    if profile is None:
        raise NotFound("this file is gone")
    content = await asyncio.to_thread(report_format("trace").render, [profile])
    return Response(content, headers=HEADERS, media_type="application/octet-stream")


routes = [Route("/traces/{token}/{name}", trace)]
