"""Who sends too slowly is hung up on; who is slow but goes on, or has to wait for us, is not. Over real sockets."""

from __future__ import annotations

import asyncio
import select
import socket
import threading
import time
from collections.abc import Iterator

import pytest

pytest.importorskip("uvicorn")

import uvicorn
from uvicorn._types import ASGIReceiveCallable, ASGISendCallable, Scope

from dynolab.hub import timeouts

WITHIN_S = 0.6
"""In place of 20 and 30 s."""
LEAST = 1000
SOON_S = 10.0
"""The machine may be busy."""
PAUSE_S = 3 * WITHIN_S


async def counting(scope: Scope, receive: ASGIReceiveCallable, send: ASGISendCallable) -> None:
    """Answers how many bytes came; on ``/late`` it begins to read, and on ``/long`` it answers, after a pause."""
    if scope["type"] != "http":
        return
    if scope["path"] == "/late":
        await asyncio.sleep(PAUSE_S)
    count, more = 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            return
        count, more = count + len(message["body"]), message["more_body"]
    if scope["path"] == "/long":
        await asyncio.sleep(PAUSE_S)
    text = str(count).encode()
    headers = [(b"content-length", str(len(text)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})  # type: ignore[typeddict-item, unused-ignore] # trailers may be left out
    await send({"type": "http.response.body", "body": text, "more_body": False})


@pytest.fixture(scope="module")
def address() -> Iterator[tuple[str, int]]:
    with pytest.MonkeyPatch.context() as patch, socket.create_server(("127.0.0.1", 0)) as listening:
        patch.setattr(timeouts, "HEADERS_WITHIN_S", WITHIN_S)
        patch.setattr(timeouts, "BODY_WITHIN_S", WITHIN_S)
        patch.setattr(timeouts, "BODY_BYTES", LEAST)
        config = uvicorn.Config(
            counting, http=timeouts.ImpatientProtocol, log_level="error", lifespan="off", timeout_keep_alive=60
        )
        server = uvicorn.Server(config)
        serving = threading.Thread(target=server.run, args=([listening],))
        serving.start()
        yield listening.getsockname()
        server.should_exit = True
        serving.join()


@pytest.fixture
def line(address: tuple[str, int]) -> Iterator[socket.socket]:
    with socket.create_connection(address, 20) as connected:
        yield connected


def head(path: str, length: int, *more: str) -> bytes:
    lines = [f"POST {path} HTTP/1.1", "Host: x", f"Content-Length: {length}", *more]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def answer(line: socket.socket) -> bytes:
    """What comes next: all up to the end of an answer's body, or of the connection."""
    whole = b""
    try:
        while chunk := line.recv(65536):
            whole += chunk
            before, end, body = whole.partition(b"\r\n\r\n")
            length = before.lower().partition(b"content-length: ")[2].split(b"\r\n")[0]
            if end and len(body) >= int(length or b"0"):
                break
    except ConnectionResetError:  # it hung up while we were still sending
        pass
    return whole


def is_hung_up(line: socket.socket) -> bool:
    """Whether nothing more comes: an end, or a reset where the other side had not read all that was sent."""
    try:
        return line.recv(1) == b""
    except ConnectionResetError:
        return True


def trickle(line: socket.socket, content: bytes, each: int, pause_s: float) -> float:
    """Send so many bytes at a time until all are sent, or nobody takes them; how long that took."""
    begun = time.monotonic()
    try:
        for start in range(0, len(content), each):
            line.sendall(content[start : start + each])
            time.sleep(pause_s)
    except OSError:
        pass
    return time.monotonic() - begun


def test_who_asks_nothing_is_hung_up_on(address: tuple[str, int]) -> None:
    begun = time.monotonic()
    with socket.create_connection(address, 20) as line:
        assert answer(line) == b""
    assert WITHIN_S <= time.monotonic() - begun < SOON_S


def test_a_head_that_comes_letter_by_letter_is_not_waited_for(line: socket.socket) -> None:
    assert trickle(line, head("/", 0, *["X: y"] * 100), 1, 0.05) < SOON_S
    assert answer(line) == b""


@pytest.mark.parametrize("kept", [False, True], ids=["first request", "second request"])
def test_a_body_that_stops_is_answered_408(line: socket.socket, kept: bool) -> None:
    if kept:
        line.sendall(head("/", 2) + b"ab")
        assert answer(line).endswith(b"\r\n\r\n2")
    begun = time.monotonic()
    line.sendall(head("/", 10_000) + b"x" * 100)
    told = answer(line)
    assert WITHIN_S <= time.monotonic() - begun < SOON_S
    assert told.startswith(b"HTTP/1.1 408 ")
    assert b"send it again" in told
    assert is_hung_up(line), "and nothing comes after it"


def test_a_body_that_comes_letter_by_letter_is_answered_408_and_not_waited_for(line: socket.socket) -> None:
    line.sendall(head("/", 10_000))
    assert trickle(line, b"x" * 10_000, 1, 0.02) < SOON_S


def test_one_that_stops_after_a_good_beginning_is_no_better(line: socket.socket) -> None:
    begun = time.monotonic()
    line.sendall(head("/", 100_000) + b"x" * LEAST)
    assert answer(line).startswith(b"HTTP/1.1 408 ")
    assert 2 * WITHIN_S <= time.monotonic() - begun < SOON_S


def test_a_slow_body_that_goes_on_is_taken_however_long_it_takes(line: socket.socket) -> None:
    content = b"x" * 40 * LEAST
    line.sendall(head("/", len(content)))
    assert (
        trickle(line, content, LEAST, WITHIN_S / 10) > 3 * WITHIN_S
    )  # ten times as much as is asked for: we may be late
    assert answer(line).endswith(b"\r\n\r\n%d" % len(content))


def test_who_waits_for_a_door_that_does_not_read_is_not_to_blame(line: socket.socket) -> None:
    content = b"x" * (8 << 20)  # more than what sockets hold
    line.sendall(head("/late", len(content)))
    line.sendall(content)
    assert answer(line).endswith(b"\r\n\r\n%d" % len(content))


def test_who_was_told_to_wait_before_the_body_is_not_to_blame(line: socket.socket) -> None:
    line.sendall(head("/late", 2, "Expect: 100-continue"))
    assert answer(line).startswith(b"HTTP/1.1 100 ")
    line.sendall(b"ab")
    assert answer(line).endswith(b"\r\n\r\n2")


def test_an_answer_may_take_as_long_as_it_likes(line: socket.socket) -> None:
    for _ in range(2):
        line.sendall(head("/long", 2) + b"ab")
        assert answer(line).endswith(b"\r\n\r\n2")


def test_between_two_requests_nobody_is_hung_up_on(line: socket.socket) -> None:
    for _ in range(2):
        line.sendall(head("/", 2) + b"ab")
        assert answer(line).endswith(b"\r\n\r\n2")
        time.sleep(PAUSE_S)


CHUNKED = b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECE_BYTES = 10_000
ENDLESS = {
    "header": (b"GET / HTTP/1.1\r\nHost: x\r\nX: ", b"431"),
    "address": (b"GET /", b"431"),
    "line of a chunk": (CHUNKED + b"1;", b"431"),
    "header after the body": (CHUNKED + b"1\r\nx\r\n0\r\nX: ", b"431"),
    "headers": (b"GET / HTTP/1.1\r\n" + b"a:b\r\n" * (timeouts.HEADERS_MOST + 2), b"400"),
}
"""How it begins, and what is answered once more than is taken has come."""


@pytest.mark.parametrize("kept", [False, True], ids=["first request", "second request"])
@pytest.mark.parametrize("what", ENDLESS)
def test_a_head_without_end_is_not_taken(
    address: tuple[str, int], monkeypatch: pytest.MonkeyPatch, what: str, kept: bool
) -> None:
    monkeypatch.setattr(timeouts, "HEADERS_WITHIN_S", SOON_S)
    monkeypatch.setattr(timeouts, "BODY_WITHIN_S", SOON_S)
    with socket.create_connection(address, 20) as line:
        _send_a_head_without_end(line, what, kept)


def _send_a_head_without_end(line: socket.socket, what: str, kept: bool) -> None:
    if kept:
        line.sendall(head("/", 100_000) + b"x" * 100_000)
        assert answer(line).endswith(b"\r\n\r\n100000")
    before, status = ENDLESS[what]
    line.sendall(before)
    sent = 0
    while status == b"431" and sent < 16 * timeouts.HEAD_BYTES and not select.select([line], [], [], 0)[0]:
        line.sendall(b"a" * PIECE_BYTES)
        sent += PIECE_BYTES
    assert answer(line).startswith(b"HTTP/1.1 " + status)
    assert is_hung_up(line), "and nothing comes after it"


@pytest.mark.parametrize("bytes_in_all", [50_000, 64 << 10])
def test_a_long_head_and_a_body_in_many_pieces_are_taken(line: socket.socket, bytes_in_all: int) -> None:
    line.sendall(CHUNKED[:-2])
    trickle(line, b"X: " + b"a" * (bytes_in_all - len(CHUNKED) - 7) + b"\r\n\r\n", 5000, 0.001)
    trickle(line, b"1\r\nx\r\n" * 40_000 + b"0\r\n\r\n", 40_000, 0.001)
    assert answer(line).endswith(b"\r\n\r\n40000")
