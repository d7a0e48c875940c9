"""Paths that are answered before any routing: what stands in between costs memory for as long as somebody waits there."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping

from starlette.types import ASGIApp, Receive, Scope, Send


class Shortcut:
    """Middleware: ``doors`` are applications by method and path, which find the hub as others do (``scope["app"]``)."""

    def __init__(self, app: ASGIApp, doors: Mapping[tuple[str, str], ASGIApp]) -> None:
        self._app, self._doors = app, doors

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        door = self._doors.get((scope["method"], scope["path"])) if scope["type"] == "http" else None
        return (door or self._app)(scope, receive, send)
