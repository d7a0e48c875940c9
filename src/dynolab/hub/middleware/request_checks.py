"""Checks of a request before any handler runs: the size and type of its body, and how many POSTs a sender makes."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from dynolab import errors
from dynolab.hub.middleware.post_rate_limit import PostRateLimit
from dynolab.hub.usecases.asking import Asking, asking
from dynolab.hub.usecases.sign_in_throttle import address

EXPIRES, ROTATE_AFTER = b"dynolab-token-expires", b"dynolab-token-rotate-after"
"""Headers of answers, in UTC."""
TOLD_MAX = 100
"""How many characters of a header that does not fit are told back."""


@dataclass(frozen=True, slots=True)
class PathRules:
    """What requests below one path may be, and how an error is answered there."""

    path: str
    answer: Callable[[Request, Exception], Awaitable[Response]]
    body_bytes: int
    json_only: bool = False
    posts_bounded: bool = False


class RequestChecks:
    """Middleware around the hub's application. The first rules whose path begins the request's path apply."""

    def __init__(self, app: ASGIApp, paths: Sequence[PathRules], rates: PostRateLimit | None) -> None:
        self._app, self._paths, self._rates = app, paths, rates

    def __call__(self, scope: Scope, receive: Receive, send: Send) -> Awaitable[None]:
        """What the application makes of it. No coroutine of its own: it would stand there for as long as an agent waits."""
        if scope["type"] == "http":
            place = str((scope.get("client") or ("unknown",))[0])
            address.set(place)
            request = Asking(scope["method"], scope["path"], place)
            asking.set(request)
            send = _telling_the_end(request, send)
        rules = self._rules_of(scope["path"]) if scope["type"] == "http" else None
        if rules is None:
            return self._app(scope, receive, send)
        try:
            self._check(rules, scope)
        except errors.Error as error:
            return _refuse(rules, error, scope, receive, send)
        if b"transfer-encoding" not in (name for name, _ in scope["headers"]):
            return self._app(scope, receive, send)  # no more comes than was said
        return self._bounded(rules, scope, receive, send)

    def _rules_of(self, path: str) -> PathRules | None:
        return next((one for one in self._paths if path.startswith(one.path)), None)

    def _check(self, rules: PathRules, scope: Scope) -> None:
        """Raises :class:`SpecInvalid`, :class:`RateLimited`, :class:`TooLarge` and :class:`MediaTypeInvalid`."""
        headers = Headers(scope=scope)
        if not scope["path"].isprintable() or b"%00" in scope["query_string"]:
            raise errors.SpecInvalid("the address holds a control character")
        if rules.posts_bounded and scope["method"] == "POST" and self._rates is not None:
            self._rates.count(_sender(headers, scope))
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length) > rules.body_bytes:
            raise _too_large(rules)
        if rules.json_only and (length != "0" or "transfer-encoding" in headers):
            _check_json(headers.get("content-type", ""))

    async def _bounded(self, rules: PathRules, scope: Scope, receive: Receive, send: Send) -> None:
        """Count the body as it comes. Once it is too large, the answer is 413, whatever the application makes of it."""
        count, passed, answering = 0, False, False

        async def counted() -> Message:
            nonlocal count, passed
            message = await receive()
            count += len(message.get("body", b""))
            passed = passed or count > rules.body_bytes
            if passed:
                raise _too_large(rules)
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
            await _refuse(rules, _too_large(rules), scope, receive, send)


def _telling_the_end(request: Asking, send: Send) -> Send:
    """Have every answer to a token that ends say when, and when to rotate it."""

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start" and request.token_expires_at is not None:
            instants = ((EXPIRES, request.token_expires_at), (ROTATE_AFTER, request.token_rotate_after))
            more = [(name, f"{at:%Y-%m-%dT%H:%M:%SZ}".encode()) for name, at in instants if at is not None]
            message = {**message, "headers": [*message.get("headers", ()), *more]}
        await send(message)

    return told


def _sender(headers: Headers, scope: Scope) -> str:
    """Who is counted: the token, or the address where none is sent."""
    token = headers.get("authorization", "").strip().rpartition(" ")[2]
    return token or str((scope.get("client") or ("",))[0])


def _too_large(rules: PathRules) -> errors.Error:
    return errors.TooLarge(f"the body has more than {rules.body_bytes} bytes", details={"most_bytes": rules.body_bytes})


def _check_json(kind: str) -> None:
    media = kind.partition(";")[0].strip().lower()
    if media == "application/json" or (media.startswith("application/") and media.endswith("+json")):
        return
    told = f"{kind[:TOLD_MAX]!r}" if kind else "no content type"
    raise errors.MediaTypeInvalid(
        f"the body comes as {told}", hint="send it as JSON, with the header `Content-Type: application/json`"
    )


async def _refuse(rules: PathRules, error: errors.Error, scope: Scope, receive: Receive, send: Send) -> None:
    answer = await rules.answer(Request(scope, receive), error)
    if error.retry_after_s is not None:
        answer.headers["Retry-After"] = str(error.retry_after_s)
    await answer(scope, receive, send)
