"""Requests and replies of the official protocol: protobuf bodies, JSON errors, and which errors its client shows."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TypeVar

from google.protobuf.message import DecodeError, Message
from google.protobuf.timestamp_pb2 import Timestamp
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from dynolab import errors
from dynolab.hub.aihub.versions import client_version
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.hub.usecases.base import Account, Hub
from dynolab.hub.usecases.sign_in import sign_in

MEDIA_TYPE = "application/x-protobuf"
"""To the letter: the client takes no parameter after it."""
DIGITS, TOLD_MAX = 18, 100
"""Of a number in a query; and characters of one that is told back."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
log = logging.getLogger(__name__)
M = TypeVar("M", bound=Message)


def protobuf(message: Message, status: int = 200) -> Response:
    """A reply."""
    return Response(message.SerializeToString(), status, media_type=MEDIA_TYPE)


def created(new_id: str, at: datetime, expires_at: datetime | None = None) -> Response:
    """The reply to whatever was created. Its status text stays empty: a client takes any other for a refusal."""
    answer = pb.CreateUpdateResponse(id=new_id, creation_time=timestamp(at))
    if expires_at is not None:
        answer.expiration_time.CopyFrom(timestamp(expires_at))
    return protobuf(answer, 201)


def timestamp(at: datetime) -> Timestamp:
    """An instant as the protocol has it."""
    found = Timestamp()
    set_timestamp(found, at)
    return found


def set_timestamp(found: Timestamp, at: datetime) -> None:
    """Have a message's instant be this one; protobuf's own way takes ten times as long, and a list has thousands."""
    since = at - _EPOCH
    found.seconds, found.nanos = since.days * 86_400 + since.seconds, since.microseconds * 1000


async def body(request: Request, message: M) -> M:
    """The request's body, parsed into ``message``. Raises :class:`SpecInvalid`."""
    try:
        message.ParseFromString(await request.body())
    except (DecodeError, ValueError) as error:
        raise errors.SpecInvalid(f"the body is no {type(message).__name__}: {error}") from error
    if (field := _with_nul(message)) is not None:
        raise errors.SpecInvalid(f"the field {field!r} holds a NUL character", hint="no database takes one in a text")
    return message


def _with_nul(message: Message) -> str | None:
    """The first field with a text that no database takes."""
    for field, value in message.ListFields():
        several = [*value, *value.values()] if isinstance(value, Mapping) else value
        for one in several if field.is_repeated else [value]:
            if isinstance(one, str) and "\0" in one:
                return str(field.name)
            if isinstance(one, Message) and (inner := _with_nul(one)) is not None:
                return inner
    return None


async def who(request: Request) -> tuple[Hub, Account]:
    """The hub, and who asks. Raises :class:`~dynolab.errors.Outdated` for a client that is too old, :class:`Unauthorized`."""
    hub: Hub = request.app.state.hub
    version, least = client_version(request), request.app.state.settings.minimum_client
    if (0, 0) < version < least:
        raise errors.Outdated(
            f"qai-hub {version[0]}.{version[1]} is too old for this hub, which takes {least[0]}.{least[1]} and later: "
            "pip install --upgrade qai-hub"
        )
    return hub, await sign_in(hub, request.headers.get("authorization", ""), kind="user")


def number(request: Request, name: str, default: int, most: int) -> int:
    """A whole number of the query, 0 to ``most``. Raises :class:`SpecInvalid`."""
    text = request.query_params.get(name, str(default))
    if not text.isdecimal() or len(text) > DIGITS:
        raise errors.SpecInvalid(f"{name}={text[:TOLD_MAX]!r} is no whole number")
    return min(int(text), most)


def flag(request: Request, name: str) -> bool:
    """Whether a query says ``true`` or ``True``."""
    return request.query_params.get(name, "").lower() == "true"


_STATUS = {422: 400, 501: 400, 507: 400}
"""The client shows the text of few statuses; 400 is the one for everything that is wrong with a request."""


async def answer(request: Request, error: Exception) -> Response:
    """An error as the official client shows it: ``{"detail": text}`` with a status whose body it reads."""
    if not isinstance(error, errors.Error):
        log.exception("%s %s failed", request.method, request.url.path, exc_info=error)
        return JSONResponse({"detail": f"the hub failed: {type(error).__name__}"}, 500)
    text = error.message + (f" ({error.hint})" if error.hint else "")
    later = None if error.retry_after_s is None else {"Retry-After": str(error.retry_after_s)}
    return JSONResponse({"detail": text}, _STATUS.get(error.http_status, error.http_status), headers=later)
