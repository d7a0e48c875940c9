"""The host by which clients reach the hub, as a proxy that is trusted tells it.

Scheme and client's address (``X-Forwarded-Proto``, ``X-Forwarded-For``) are read by uvicorn's own middleware, which does
not read the host and port.
"""

from __future__ import annotations

import re
from collections.abc import Container

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Receive, Scope, Send

_HOST = re.compile(r"(?:[A-Za-z0-9._-]{1,253}|\[[0-9A-Fa-f:.]{2,45}\])(?::\d{1,5})?")
_PORT = re.compile(r"\d{1,5}")
DEFAULT_PORTS = ("80", "443")


class ForwardedHost:
    """Puts ``X-Forwarded-Host`` and ``-Port`` in the place of ``Host`` when the request comes from a trusted address.

    Stands outside of what replaces the client's address.
    """

    def __init__(self, app: ASGIApp, trusted: Container[str]) -> None:
        self._app, self._trusted = app, trusted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and (scope.get("client") or ("",))[0] in self._trusted:
            host = _forwarded(Headers(scope=scope))
            if host is not None:
                others = [(name, value) for name, value in scope["headers"] if name != b"host"]
                scope = {**scope, "headers": [(b"host", host.encode("ascii")), *others]}
        await self._app(scope, receive, send)


def _forwarded(headers: Headers) -> str | None:
    """The host that the nearest proxy was asked for: it adds to the end of what came. None where it is none."""
    host = headers.get("x-forwarded-host", "").rpartition(",")[2].strip()
    port = headers.get("x-forwarded-port", "").rpartition(",")[2].strip()
    if not _HOST.fullmatch(host):
        return None
    named = ":" in host.rpartition("]")[2]
    return f"{host}:{port}" if not named and _PORT.fullmatch(port) and port not in DEFAULT_PORTS else host
