"""Requests counted and timed, by the template of their route."""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

from starlette.routing import Mount
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dynolab.hub.telemetry import metrics

UNMATCHED = "unmatched"
"""The route of requests for what is not there: their paths are whatever people try."""
METHODS = frozenset(("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"))
HUNG_UP = "499"


class RequestMetrics:
    """Middleware around all others, so that what they refuse is counted too."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun, status, answered_s = time.perf_counter(), HUNG_UP, None

        async def watched(message: Message) -> None:
            nonlocal status, answered_s
            if message["type"] == "http.response.start":
                status, answered_s = str(message["status"]), time.perf_counter() - begun
            await send(message)

        metrics.REQUESTS_OPEN.inc()
        try:
            await self._app(scope, receive, watched)
        except Exception:
            status = status if answered_s is not None else "500"
            raise
        finally:
            metrics.REQUESTS_OPEN.dec()
            route, method = route_of(scope), scope["method"] if scope["method"] in METHODS else "other"
            metrics.observe_request(route, method, status, answered_s)


def route_of(scope: MutableMapping[str, Any]) -> str:
    """The template of the route that a request was given to, such as ``/jobs/{id}/``: applications note it in its scope."""
    route = scope.get("route")
    path = getattr(route, "path", None)
    if path is None or isinstance(route, Mount):
        return UNMATCHED
    return f"{scope.get('root_path', '')}{path}"
