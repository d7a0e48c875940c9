"""Errors as the JSON API answers them: ``{code, message, hint, details}`` with the error's own status."""

from __future__ import annotations

import json
import logging
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from dynolab import errors

HUNG_UP = 499
"""As nginx notes it."""
log = logging.getLogger(__name__)


async def answer(request: Request, error: Exception) -> Response:
    """The answer to an error of ours; what is no error of ours is a bug, and is said to be one."""
    if not isinstance(error, errors.Error):
        log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        error = errors.Bug(f"the hub failed: {type(error).__name__}", hint="its log tells where; please report it")
    return document(error, error.http_status)


def document(error: errors.Error, status: int) -> Response:
    """An error as JSON. In ASCII: a message may quote what no encoding can say, such as half a surrogate pair."""
    headers = {"WWW-Authenticate": "Bearer"} if status == HTTPStatus.UNAUTHORIZED else None
    if error.retry_after_s is not None:
        headers = {"Retry-After": str(error.retry_after_s)}
    return Response(json.dumps(error.to_dict()), status, headers, "application/json")


async def hung_up(request: Request, error: Exception) -> Response:
    """What nobody reads: the client went before all of its body had come."""
    return Response(status_code=HUNG_UP)


async def http_answer(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself: no such address, no such method, a body that cannot be read."""
    if not isinstance(error, HTTPException):
        return await answer(request, error)
    path = request.url.path
    if error.status_code == HTTPStatus.NOT_FOUND:
        return document(errors.NotFound(f"there is nothing at {path}", hint="openapi.json lists what there is"), 404)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        found = document(errors.UserError(f"{path} does not take {request.method}"), 405)
        found.headers.update(error.headers or {})
        return found
    return document(errors.SpecInvalid(f"the request cannot be read: {error.detail}"), 422)
