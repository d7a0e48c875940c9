"""The pages as one application."""

from __future__ import annotations

import logging

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.gzip import GZipMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from dynolab import errors
from dynolab.hub.pages import (
    account,
    add_device,
    assets,
    audit,
    board_health,
    compare,
    compare_outputs,
    datasets,
    devices,
    graphs,
    job_actions,
    jobs,
    live_logs,
    models,
    organisations,
    people,
    pools,
    profiles,
    sign_in,
    sign_in_oidc,
    submit,
    traces,
    trends,
    uploads,
    wheels,
)
from dynolab.hub.pages.rendering import is_fragment, page
from dynolab.hub.pages.sessions import current_account, redirect_to_sign_in
from dynolab.hub.usecases.base import Account

log = logging.getLogger(__name__)
ROOMS = (
    sign_in,
    sign_in_oidc,
    jobs,
    job_actions,
    live_logs,
    profiles,
    compare,
    compare_outputs,
    trends,
    submit,
    traces,
    uploads,
    graphs,
    models,
    pools,
    organisations,
    datasets,
    board_health,
    devices,
    add_device,
    account,
    people,
    audit,
    assets,
    wheels,
)


def create_pages() -> Starlette:
    """The application; its ``state`` is set by the hub's."""
    return Starlette(
        routes=[
            Route("/", home),
            Route("/definitions", definitions),
            *(one for room in ROOMS for one in room.routes),
        ],
        middleware=[Middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)],
        exception_handlers={
            errors.Unauthorized: _not_signed_in,
            errors.Error: failed,
            HTTPException: _refused,
            Exception: failed,
        },
    )


async def home(request: Request) -> Response:
    """``GET /``."""
    return RedirectResponse("/jobs/", 307)


async def definitions(request: Request) -> Response:
    """``GET /definitions``: what every word and figure means; figures link here."""
    try:
        _, account = await current_account(request)
    except errors.Unauthorized:
        account = None
    return await page(request, "definitions.html.j2", account)


async def _not_signed_in(request: Request, error: Exception) -> Response:
    return redirect_to_sign_in(request)


async def failed(request: Request, error: Exception) -> Response:
    """An error's page; what is no error of ours is a bug, and is said to be one."""
    if not isinstance(error, errors.Error):
        log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        error = errors.Bug(f"the hub failed: {type(error).__name__}", hint="its log tells where; please report it")
    template = "_problem.html.j2" if is_fragment(request) else "problem.html.j2"
    found = await page(request, template, await _known(request), status=error.http_status, error=error)
    if error.retry_after_s is not None:
        found.headers["Retry-After"] = str(error.retry_after_s)
    return found


async def _refused(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: no such page, no such method, a form that cannot be read."""
    status = error.status_code if isinstance(error, HTTPException) else 500
    told: errors.Error = errors.SpecInvalid(f"the request cannot be read: {getattr(error, 'detail', error)}")
    if status == errors.NotFound.http_status:
        told = errors.NotFound(f"there is no page at {request.url.path[:200]!r}")
    elif status == 405:
        told = errors.UserError(f"{request.url.path[:200]} does not take {request.method}")
    return await page(request, "problem.html.j2", await _known(request), status=status, error=told)


async def _known(request: Request) -> Account | None:
    """Who is signed in, for the page around an error; None also where that cannot be told now."""
    try:
        return (await current_account(request, any_scope=True))[1]
    except errors.Error:
        return None
