"""The JSON API as one application, with its description at ``openapi.json`` and as a page at ``docs``."""

from __future__ import annotations

import reprlib
from importlib.metadata import version
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.responses import HTMLResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from dynolab import errors
from dynolab.hub.api import (
    accounts,
    audit,
    datasets,
    devices,
    frameworks,
    jobs,
    join_tokens,
    models,
    organisations,
    people,
    pools,
)
from dynolab.hub.api.docs import page
from dynolab.hub.api.errors import answer, document, http_answer, hung_up
from dynolab.hub.api.schemas import ErrorBody

VALUE_MAX = 200
"""How much of a value that does not fit is told back."""
REFUSALS = {401: "no good token", 404: "nothing there, or another's", 422: "the request does not fit"}
WRITING_REFUSALS = {
    403: "another's",
    409: "its state does not allow this",
    413: "too large",
    415: "the body is no JSON",
    429: "too many POSTs a second; `Retry-After` tells when to come again",
    503: "the database is away; `Retry-After` tells when to come again",
    507: "the hub is full",
}


def create_api() -> FastAPI:
    """The application; its ``state`` is set by the hub's."""
    refusals: dict[int | str, dict[str, Any]] = {
        status: {"model": ErrorBody, "description": text} for status, text in {**REFUSALS, **WRITING_REFUSALS}.items()
    }
    api = FastAPI(
        title="dynolab hub",
        version=version("dynolab"),
        description="Everything the hub can do. Errors are `{code, message, hint, details}`.",
        docs_url=None,  # FastAPI's own pages load scripts from another host
        redoc_url=None,
        responses=refusals,
        exception_handlers={
            errors.Error: answer,
            RequestValidationError: _does_not_fit,
            HTTPException: http_answer,
            ClientDisconnect: hung_up,
            Exception: answer,
        },
    )
    for room in (
        accounts,
        people,
        audit,
        devices,
        join_tokens,
        pools,
        organisations,
        frameworks,
        models,
        datasets,
        jobs,
    ):
        api.include_router(room.router)

    @api.get("/docs", include_in_schema=False)
    async def docs() -> HTMLResponse:
        return HTMLResponse(
            page(api.openapi()), headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
        )

    return api


async def _does_not_fit(request: Request, error: Exception) -> Response:
    """Every field that does not fit, with its value and what is wrong with it."""
    assert isinstance(error, RequestValidationError)
    found = [
        {
            "field": ".".join(map(str, one["loc"])),
            "value": _told(one.get("input")),
            "problem": str(one["msg"]).removeprefix("Value error, "),
        }
        for one in error.errors()[:20]
    ]
    first = found[0] if found else {"field": "body", "value": "", "problem": "does not fit"}
    text = f"{first['field']}: {first['problem']}"
    if first["value"] is not None and len(str(first["value"])) <= VALUE_MAX:
        text += f", not {first['value']!r}"
    return document(errors.SpecInvalid(text, details={"errors": found}), 422)


def _told(value: object) -> object:
    """A value as far as it is told back."""
    if value is None or isinstance(value, bool | int | float):
        return value if len(str(value)) <= VALUE_MAX else str(value)[:VALUE_MAX]
    text = value if isinstance(value, str) else reprlib.repr(value)  # of what is nested as deep as can be, too
    return text if len(text) <= VALUE_MAX else text[:VALUE_MAX] + "..."
