"""Style sheets, scripts and pictures: all of them shipped, each under an address that changes with its content."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.errors import NotFound
from dynolab.report.html.environment import script, style

FOLDER = Path(__file__).parent
TYPES = {
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".txt": "text/plain; charset=utf-8",
}
FOR_EVER = "public, max-age=31536000, immutable"
_MADE = {"profile.css": style, "profile.js": script}
"""What a profile looks like is the report's."""


@cache
def _content(name: str) -> bytes:
    if name in _MADE:
        return _MADE[name]().encode()
    return (FOLDER / name).read_bytes()


@cache
def names() -> frozenset[str]:
    """The assets that there are."""
    return frozenset({*_MADE, *(path.name for path in FOLDER.iterdir() if path.suffix in TYPES)})


@cache
def address(name: str) -> str:
    """Where an asset lies."""
    return f"/assets/{hashlib.sha256(_content(name)).hexdigest()[:12]}/{name}"


async def asset(request: Request) -> Response:
    """``GET /assets/DIGEST/NAME``. An old digest is answered too, with what there is now, but not kept."""
    name = request.path_params["name"]
    if name not in names():
        raise NotFound(f"there is no asset {name!r}")
    kept = FOR_EVER if request.url.path == address(name) else "no-store"
    headers = {"Cache-Control": kept, "X-Content-Type-Options": "nosniff"}
    return Response(_content(name), 200, headers, TYPES[Path(name).suffix])


routes = [Route("/assets/{digest}/{name}", asset)]
