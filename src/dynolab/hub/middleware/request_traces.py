"""A span for each request, below the one that the client names."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dynolab import tracing
from dynolab.hub.middleware.request_metrics import METHODS, route_of

UNTRACED = frozenset(("/healthz", "/metrics", "/api/agent/v1/claim"))
"""What is asked again and again, mostly in vain. A claim that gets a job is part of the job's trace all the same."""
RENEWALS = "/renew"
"""How the paths end by which agents say every few seconds that they are still at it."""
SERVER_ERROR = 500


class RequestTraces:
    """Middleware. Where no traces are sent, what the client names is carried on all the same: agents may send theirs."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or _is_untraced(scope["path"]):
            await self._app(scope, receive, send)
            return
        carried = Headers(scope=scope).get(tracing.HEADER, "")
        if not tracing.is_on():
            with tracing.carrying(carried):
                await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else "_OTHER"
        status = 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        with (
            tracing.carrying(carried),
            tracing.span(method, "server", http__request__method=method, url__scheme=scope["scheme"]) as span,
        ):
            try:
                await self._app(scope, receive, watched)
            finally:
                if span is not None:
                    route = route_of(scope)
                    span.update_name(f"{method} {route}")
                    span.set_attribute("http.route", route)
                    if status:
                        span.set_attribute("http.response.status_code", status)
                    if status >= SERVER_ERROR:
                        span.set_attribute("error.type", str(status))


def _is_untraced(path: str) -> bool:
    return path in UNTRACED or path.endswith(RENEWALS)
