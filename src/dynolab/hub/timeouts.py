"""uvicorn's HTTP protocol, with an end to its patience: heads and bodies of requests that do not come are not waited for."""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.auto import AutoHTTPProtocol

HEADERS_WITHIN_S = 20.0
"""From the connection, or the last answer, to all headers of a request."""
BODY_WITHIN_S, BODY_BYTES = 30.0, 64 << 10
"""In each such while that much of a body is to come, or the rest of it: half of what a modem of the nineties sent. So a file of
any size may be sent over any link, and nobody holds a connection, and what a door keeps for it, by sending nothing."""


class ImpatientProtocol(AutoHTTPProtocol):  # type: ignore[misc,valid-type] # uvicorn chooses its base when it is imported
    """Hangs up on who connects and does not say within a while what is wanted, or stops amid saying it."""

    _timer: asyncio.TimerHandle | None = None
    _came_bytes = 0
    """Since the timer was set."""
    _held_back = False
    """Whether since then the sender had to wait for us: nobody read what came."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        before = self._wanted()
        super().data_received(data)
        if self._wanted() != before:
            self._stop()
        self._wait()
        self._came_bytes += len(data)
        self._held_back = self._held_back or self._holds_back()

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop()
        super().connection_lost(exc)

    def _wanted(self) -> str:
        """What is to come next: the head of a request, more of its body, or nothing as long as it is not answered."""
        if self.cycle is None or self.cycle.response_complete:
            return "head"
        return "body" if self.cycle.more_body else ""

    def _holds_back(self) -> bool:
        waits = self.cycle is not None and self.cycle.waiting_for_100_continue
        return bool(self.flow.read_paused or waits)

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
        if not self.cycle.response_started:
            self.transport.write(_too_slow())
        self.transport.close()


def _too_slow() -> bytes:
    """The whole answer 408 (RFC 9110, 15.5.9)."""
    text = f"408: less than {BODY_BYTES >> 10} KiB of the body came within {BODY_WITHIN_S:g} s; send it again"
    head = f"HTTP/1.1 408 Request Timeout\r\nContent-Type: text/plain\r\nContent-Length: {len(text)}\r\n"
    return f"{head}Connection: close\r\n\r\n{text}".encode("ascii")
