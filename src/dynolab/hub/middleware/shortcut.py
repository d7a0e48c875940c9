"""Paths that are answered before any routing: what stands in between costs memory for as long as somebody waits there."""

from __future__ import annotations

from collections.abc import Awaitable, Sequence

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import Receive, Scope, Send


class Shortcut:
    """The application, but for ``routes``: those of applications by their whole path, which find the hub as others do (``scope["app"]``).

    The application's middleware does not see their requests: they bring what they need of it.
    """

    def __init__(self, app: Starlette, routes: Sequence[Route]) -> None:
        self._app = app
        self._routes = {(method, route.path): route for route in routes for method in route.methods or ()}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        route = self._routes.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        if route is None:
            return self._app(scope, receive, send)
        scope["app"], scope["route"] = self._app, route  # as Starlette notes them
        return route.app(scope, receive, send)
