"""Paths that are answered before any routing: what stands in between costs time with each request, and memory for as long as somebody waits there."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping, Sequence

from starlette.applications import Starlette
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send


class Shortcut:
    """The application, but for ``routes``: those of applications by their whole path, which find the hub as others do (``scope["app"]``).

    And but for ``mounts``: applications that have all that is below a path, with routes of their own. The application's
    middleware does not see their requests: they bring what they need of it.
    """

    def __init__(self, app: Starlette, routes: Sequence[Route], mounts: Mapping[str, ASGIApp]) -> None:
        self._app, self._mounts = app, tuple(mounts.items())
        self._routes = {(method, route.path): route for route in routes for method in route.methods or ()}

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        if scope["type"] != "http":
            return self._app(scope, receive, send)
        route = self._routes.get((scope["method"], scope["path"]))
        if route is not None:
            scope["app"], scope["route"] = self._app, route  # as Starlette notes them
            return route.app(scope, receive, send)
        for path, app in self._mounts:
            if scope["path"].startswith(f"{path}/"):
                scope["root_path"] = path  # as a mount of Starlette's does
                return app(scope, receive, send)
        return self._app(scope, receive, send)
