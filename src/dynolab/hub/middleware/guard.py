"""Refuses what no door could take, before any code of the door runs: bodies too large, of a wrong type, requests too many."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dynolab import errors
from dynolab.hub.middleware.rates import PostRates
from dynolab.hub.usecases.tries import address

TOLD_MAX = 100
"""How many characters of a header that does not fit are told back."""


@dataclass(frozen=True, slots=True)
class Door:
    """Paths that begin alike, how an error is answered there, and what is taken."""

    path: str
    answer: Callable[[Request, Exception], Awaitable[Response]]
    body_bytes: int
    json_only: bool = False
    posts_bounded: bool = False


class Guard:
    """Wraps the hub's application. The first door whose path fits a request is the one that is heeded."""

    def __init__(self, app: ASGIApp, doors: Sequence[Door], rates: PostRates | None) -> None:
        self._app, self._doors, self._rates = app, doors, rates

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            address.set(str((scope.get("client") or ("unknown",))[0]))
        door = self._door(scope["path"]) if scope["type"] == "http" else None
        if door is None:
            await self._app(scope, receive, send)
            return
        try:
            self._check(door, scope)
        except errors.Error as error:
            await _refuse(door, error, scope, receive, send)
            return
        await self._bounded(door, scope, receive, send)

    def _door(self, path: str) -> Door | None:
        return next((door for door in self._doors if path.startswith(door.path)), None)

    def _check(self, door: Door, scope: Scope) -> None:
        """Raises :class:`SpecInvalid`, :class:`RateLimited`, :class:`TooLarge` and :class:`MediaTypeInvalid`."""
        headers = Headers(scope=scope)
        if not scope["path"].isprintable() or b"%00" in scope["query_string"]:
            raise errors.SpecInvalid("the address holds a control character")
        if door.posts_bounded and scope["method"] == "POST" and self._rates is not None:
            self._rates.count(_sender(headers, scope))
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > door.body_bytes:
            raise _too_large(door)
        if door.json_only and (length != "0" or "transfer-encoding" in headers):
            _check_json(headers.get("content-type", ""))

    async def _bounded(self, door: Door, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the body as it comes. Once it is too large, whatever the door makes of that is answered 413 instead."""
        count, passed, answering = 0, False, False

        async def counted() -> Message:
            nonlocal count, passed
            message = await receive()
            count += len(message.get("body", b""))
            passed = passed or count > door.body_bytes
            if passed:
                raise _too_large(door)
            return message

        async def answered(message: Message) -> None:
            nonlocal answering
            if answering or not passed:
                answering = True
                await send(message)

        try:
            await self._app(scope, counted, answered)
        except Exception:
            if not passed:
                raise
        if passed and not answering:
            await _refuse(door, _too_large(door), scope, receive, send)


def _sender(headers: Headers, scope: Scope) -> str:
    """Who is counted: the token, or the address where none is sent."""
    token = headers.get("authorization", "").strip().rpartition(" ")[2]
    return token or str((scope.get("client") or ("",))[0])


def _too_large(door: Door) -> errors.Error:
    return errors.TooLarge(f"the body has more than {door.body_bytes} bytes", details={"most_bytes": door.body_bytes})


def _check_json(kind: str) -> None:
    media = kind.partition(";")[0].strip().lower()
    if media == "application/json" or (media.startswith("application/") and media.endswith("+json")):
        return
    told = f"{kind[:TOLD_MAX]!r}" if kind else "no content type"
    raise errors.MediaTypeInvalid(
        f"the body comes as {told}", hint="send it as JSON, with the header `Content-Type: application/json`"
    )


async def _refuse(door: Door, error: errors.Error, scope: Scope, receive: Receive, send: Send) -> None:
    answer = await door.answer(Request(scope, receive), error)
    if error.retry_after_s is not None:
        answer.headers["Retry-After"] = str(error.retry_after_s)
    await answer(scope, receive, send)
