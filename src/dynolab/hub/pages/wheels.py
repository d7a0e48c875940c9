"""dynolab itself, for machines that are to be devices: no package index needs to have it."""

from __future__ import annotations

import asyncio

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab import own_wheel
from dynolab.errors import NotFound


async def wheel(request: Request) -> Response:
    """``GET /wheels/NAME``: for everybody, as an index would: there is no secret in it. Raises :class:`NotFound`."""
    name = request.path_params["name"]
    if name != own_wheel.file_name():
        raise NotFound(f"there is no wheel {name[:200]!r} here", hint=f"this hub has {own_wheel.file_name()}")
    content = await asyncio.to_thread(own_wheel.content)
    headers = {"Cache-Control": "no-store", "X-Content-Type-Options": "nosniff", "Content-Encoding": "identity"}
    return Response(content, 200, headers, "application/octet-stream")


routes = [Route("/wheels/{name}", wheel)]
