"""Errors as the JSON API answers them: ``{code, message, hint, details}`` with the error's own status."""

from __future__ import annotations

import logging

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dynolab import errors

log = logging.getLogger(__name__)


async def answer(request: Request, error: Exception) -> Response:
    """The answer to an error of ours; what is no error of ours is a bug, and is said to be one."""
    if not isinstance(error, errors.Error):
        log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        error = errors.Bug(f"the hub failed: {type(error).__name__}", hint="its log tells where; please report it")
    return JSONResponse(error.to_dict(), error.http_status)
