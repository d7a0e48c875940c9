"""Redirects after a form was posted, and the paths that may be redirected to."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response

from dynolab.hub.pages.rendering import is_fragment


def redirect(request: Request, path: str) -> Response:
    """A redirect to another page after a form was posted. htmx follows a header, because a redirect would land in a part of the page."""
    if is_fragment(request):
        return Response(status_code=204, headers={"HX-Redirect": path})
    return RedirectResponse(path, 303)


def safe_path(path: str) -> str:
    """A path of this hub to go on to; what leads elsewhere becomes the list of jobs."""
    parts = urlsplit(path)
    sound = path.startswith("/") and not path.startswith(("//", "/\\")) and not parts.netloc and path.isprintable()
    return path if sound else "/jobs/"
