"""uvicorn's HTTP protocol, with an end to its patience: heads and bodies of requests that do not come are not waited for.

Nor is a head taken that does not end: uvicorn bounds none, and its parser copies what it has with every piece that comes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from dynolab.hub.scheduling.long_polls import CONNECTION, LeanEvent

HEADERS_WITHIN_S = 20.0
"""From the connection, or the last answer, to all headers of a request."""
BODY_WITHIN_S, BODY_BYTES = 30.0, 64 << 10
"""In each such while that much of a body is to come, or the rest of it: half of what a modem of the nineties sent. So a file of
any size may be sent over any link, and nobody holds a connection, and what a door keeps for it, by sending nothing."""
HEAD_BYTES = 64 << 10
"""Of a head, and of what stands between the pieces of a body and after it: once more has come without an end, no more is
taken. What one read brings whole (asyncio reads 256 KiB at most) is taken."""
LINGER_S = 2.0
"""How long what a refused sender still sends is read and dropped: hung up on at once, the kernel would drop the answer too."""
HEADERS_MOST = 100
"""As many as Apache takes (LimitRequestFields); what is kept of one that is short takes many times its bytes."""
OF_UVICORN = (
    *("config", "app", "loop", "logger", "access_logger", "access_log", "parser", "ws_protocol_class", "root_path"),
    *(
        "asgi_version",
        "limit_concurrency",
        "app_state",
        "timeout_keep_alive_task",
        "timeout_keep_alive",
        "server_state",
    ),
    *("connections", "tasks", "transport", "flow", "server", "client", "scheme", "pipeline", "scope", "headers"),
    *("expect_100_continue", "cycle", "url"),
)
"""What uvicorn's protocol keeps of a connection: with more than 30 attributes Python would give each one a dict of 2 kB of its own."""


class _Pipeline(list[object]):
    """Requests that came before the answer to the one ahead of them: seldom any, and a deque takes 0.6 kB."""

    __slots__ = ()

    def appendleft(self, request: object) -> None:
        """The newest first, as uvicorn does."""
        self.insert(0, request)


class _LeanFlowControl(FlowControl):
    """uvicorn's, with an event that takes less."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._is_writable_event = LeanEvent(is_set=True)


class ImpatientProtocol(HttpToolsProtocol):
    """Hangs up on who connects and does not say within a while what is wanted, or stops amid saying it.

    It is each request's :class:`~dynolab.hub.scheduling.long_polls.Connection`, too. Thousands of them wait at once, so that it
    makes little of what uvicorn makes for each.
    """

    __slots__ = OF_UVICORN

    _timer: asyncio.TimerHandle | None = None
    _came_bytes = 0
    """Since the timer was set."""
    _held_back = False
    """Whether since then the sender had to wait for us: nobody read what came."""
    _unended_bytes = 0
    """What has come of a head, or of a line around a body's pieces, that has not ended."""
    _refused = False
    _when_lost: Callable[[], None] | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn's is
        super().connection_made(transport)
        self.flow = _LeanFlowControl(transport)
        self.pipeline = _Pipeline()  # type: ignore[assignment] # uvicorn appends at the left and pops, no more
        self._wait()

    def data_received(self, data: bytes) -> None:
        if self._refused:
            return
        before = self._wanted()
        self._unended_bytes += len(data)
        super().data_received(data)
        if self._unended_bytes > HEAD_BYTES:
            self._refuse_head()
            return
        if self._wanted() != before:
            self._stop()
        self._wait()
        self._came_bytes += len(data)
        self._held_back = self._held_back or self._holds_back()

    def on_message_begin(self) -> None:
        self._unended_bytes = 0
        super().on_message_begin()
        self.scope[CONNECTION] = self  # type: ignore[literal-required] # one of our own

    def on_header(self, name: bytes, value: bytes) -> None:
        if len(self.headers) >= HEADERS_MOST:
            raise ValueError(f"more than {HEADERS_MOST} headers")  # which the parser hands on: answered 400
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        self._unended_bytes = 0
        super().on_headers_complete()
        cycle = self._asked()
        if cycle is not None and not isinstance(cycle.message_event, LeanEvent):  # nothing waits for that one yet
            cycle.message_event = LeanEvent()

    def on_body(self, body: bytes) -> None:
        self._unended_bytes = 0
        super().on_body(body)

    def on_message_complete(self) -> None:
        self._unended_bytes = 0
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)
        self.call_when_lost(self._when_lost)

    def call_when_lost(self, call: Callable[[], None] | None) -> None:
        cycle = self._asked()
        if call is not None and (cycle is None or cycle.disconnected):
            self._when_lost = None
            call()
        else:
            self._when_lost = call

    def _wanted(self) -> str:
        """What is to come next: the head of a request, more of its body, or nothing as long as it is not answered."""
        cycle = self._asked()
        if cycle is None or cycle.response_complete:
            return "head"
        return "body" if cycle.more_body else ""

    def _holds_back(self) -> bool:
        cycle = self._asked()
        return bool(self.flow.read_paused or (cycle is not None and cycle.waiting_for_100_continue))

    def _asked(self) -> RequestResponseCycle | None:
        """The request at hand; None before the first one, which uvicorn's own annotation leaves out."""
        return self.cycle

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None

    def _wait(self) -> None:
        """Set the timer, if there is something to wait for and none is set."""
        wanted = self._wanted()
        if self._timer is None and wanted and not self.transport.is_closing():
            self._came_bytes, self._held_back = 0, self._holds_back()
            within_s, judge = (
                (HEADERS_WITHIN_S, self._judge_head) if wanted == "head" else (BODY_WITHIN_S, self._judge_body)
            )
            self._timer = self.loop.call_later(within_s, judge)

    def _refuse_head(self) -> None:
        """Hang up, after the answer 431 where none is under way that it would spoil."""
        self._stop()
        if self._wanted() and not (self._wanted() == "body" and self.cycle.response_started):
            self._refuse(_too_large())
        else:
            self.transport.close()

    def _refuse(self, answer: bytes) -> None:
        """Answer, end our side, and hang up once the sender has, or after a while."""
        self._refused = True
        self.transport.write(answer)
        if self.transport.can_write_eof():
            self.transport.write_eof()
            self.transport.resume_reading()
            self._timer = self.loop.call_later(LINGER_S, self.transport.close)
        else:
            self.transport.close()

    def _judge_head(self) -> None:
        self._timer = None
        if self._wanted() == "head":
            self.transport.close()

    def _judge_body(self) -> None:
        self._timer = None
        if self._wanted() != "body":
            return
        if self._held_back or self._came_bytes >= BODY_BYTES:
            self._wait()
            return
        if self.cycle.response_started:
            self.transport.close()
        else:
            self._refuse(_too_slow())


def _too_slow() -> bytes:
    """The whole answer 408 (RFC 9110, 15.5.9)."""
    text = f"less than {BODY_BYTES >> 10} KiB of the body came within {BODY_WITHIN_S:g} s; send it again"
    return _answer("408 Request Timeout", text)


def _too_large() -> bytes:
    """The whole answer 431 (RFC 6585, 5)."""
    text = f"more than {HEAD_BYTES >> 10} KiB of headers came; send fewer and shorter ones"
    return _answer("431 Request Header Fields Too Large", text)


def _answer(status: str, text: str) -> bytes:
    text = f"{status[:3]}: {text}"
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n"
    return f"{head}Connection: close\r\n\r\n{text}".encode("ascii")
