"""Live updates: htmx polls for the part of a page that changes."""

from __future__ import annotations

import hashlib
from typing import Any

from markupsafe import escape
from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from dynolab.hub.pages.paging import current_address
from dynolab.hub.pages.rendering import HEADERS, is_fragment, page, render
from dynolab.hub.usecases.base import Account


async def live_page(request: Request, account: Account, template: str, /, **shown: Any) -> Response:
    """The page ``TEMPLATE.html.j2``; for htmx its :func:`live_fragment` ``_TEMPLATE.html.j2`` alone."""
    if not is_fragment(request):
        return await page(request, f"{template}.html.j2", account, again=current_address(request, seen="0"), **shown)
    return live_fragment(request, account, f"_{template}.html.j2", **shown)


def live_fragment(request: Request, account: Account, template: str, /, **shown: Any) -> Response:
    """A part of a page, which asks for itself again at ``again``; 204 where it has not changed since."""
    again = current_address(request, seen="0")
    content = render(request, template, account, again=again, **shown)
    seen = hashlib.sha256(content.encode()).hexdigest()[:16]
    if request.query_params.get("seen") == seen:
        return Response(status_code=204)
    asked, asks = escape(again), escape(current_address(request, seen=seen))
    return HTMLResponse(content.replace(str(asked), str(asks)), headers=HEADERS)
