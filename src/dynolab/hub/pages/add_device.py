"""How a machine becomes a device of this hub: a token for its agent, and the command that starts it."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dynolab.hub.pages.flash import clear_flash, read_new_token
from dynolab.hub.pages.rendering import page
from dynolab.hub.pages.sessions import current_account

PLACE = "/add-device"
NOWHERE = ("127.0.0.1", "localhost", "::1")
"""Addresses that lead to the machine itself, on each another."""


async def show(request: Request) -> Response:
    """``GET /add-device``; once after an agent's token was made, with its secret."""
    _, account = await current_account(request)
    address = str(request.app.state.base_url(request)).rstrip("/")
    here_only = urlsplit(address).hostname in NOWHERE
    made = read_new_token(request)
    answer = await page(request, "add_device.html.j2", account, made=made, address=address, here_only=here_only)
    return clear_flash(request, answer)


routes = [Route(PLACE, show)]
