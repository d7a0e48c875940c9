"""Paths that are answered before any routing: what stands in between costs memory for as long as somebody waits there."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Shortcut:
    """Middleware: ``routes`` are those of applications, by their whole path, which find the hub as others do (``scope["app"]``)."""

    def __init__(self, app: ASGIApp, routes: Sequence[Route]) -> None:
        self._app = app
        self._routes = {(method, route.path): route for route in routes for method in route.methods or ()}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            return self._app(scope, receive, send)
        scope["route"] = route  # as Starlette notes it, for the metrics
        return route.app(scope, receive, send)
