"""Each thing that the bad line does to a connection, seen from a client of an echo."""

from __future__ import annotations

import random
import socket
import socketserver
import threading
import time
from collections.abc import Iterator
from contextlib import suppress

import pytest

from .tcp_proxy import TcpProxy, tcp_proxy


class Echo(socketserver.ThreadingTCPServer):
    daemon_threads = True
    block_on_close = False


class Said(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        with suppress(OSError):
            while said := self.request.recv(1 << 16):
                self.request.sendall(said)


@pytest.fixture
def line() -> Iterator[TcpProxy]:
    with Echo(("127.0.0.1", 0), Said) as echo:
        serving = threading.Thread(target=echo.serve_forever)
        serving.start()
        with tcp_proxy(echo.server_address[1]) as found:
            yield found
        echo.shutdown()
        serving.join()


@pytest.fixture
def client(line: TcpProxy) -> Iterator[socket.socket]:
    with socket.create_connection(("127.0.0.1", line.port), timeout=30) as found:
        yield found


def _back(client: socket.socket, said: bytes) -> bytes:
    heard = bytearray()
    sending = threading.Thread(target=client.sendall, args=(said,))
    sending.start()
    while len(heard) < len(said):
        heard += client.recv(1 << 16)
    sending.join()
    return bytes(heard)


def _talk_until_reset(client: socket.socket) -> int:
    """How many bytes were said."""
    said = 0
    try:
        while True:
            client.sendall(bytes(10_000))
            said += 10_000
            client.recv(1 << 16)
    except (ConnectionResetError, BrokenPipeError):
        return said


def test_good_line_passes_everything_and_the_goodbye(line: TcpProxy, client: socket.socket) -> None:
    said = random.Random(1).randbytes(1 << 20)
    assert _back(client, said) == said
    client.shutdown(socket.SHUT_WR)
    assert client.recv(1) == b""
    assert line.passed == 2 * len(said)


def test_delay_is_added_in_both_directions(line: TcpProxy, client: socket.socket) -> None:
    line.delay_s = 0.1
    start = time.monotonic()
    assert _back(client, b"x") == b"x"
    assert time.monotonic() - start >= 0.2


def test_stall_holds_everything_back_and_loses_nothing(line: TcpProxy, client: socket.socket) -> None:
    assert _back(client, b"before") == b"before"
    start = time.monotonic()
    line.stall(0.5)
    assert _back(client, b"during") == b"during"
    assert time.monotonic() - start >= 0.5


def test_bandwidth_is_bounded(line: TcpProxy, client: socket.socket) -> None:
    line.bytes_per_s = 200_000
    start = time.monotonic()
    _back(client, bytes(100_000))
    assert time.monotonic() - start >= 0.4


def test_reset_is_a_reset(line: TcpProxy, client: socket.socket) -> None:
    assert _back(client, b"x") == b"x"
    line.reset()
    with pytest.raises(ConnectionResetError):
        client.recv(1)
    assert line.resets == 1


def test_resets_come_after_the_bytes_that_were_named(line: TcpProxy) -> None:
    seeded = random.Random(7)
    counts = [seeded.randrange(100_000, 300_000) for _ in range(3)]
    line.reset_after(counts)
    for _ in counts:
        with socket.create_connection(("127.0.0.1", line.port), timeout=30) as client:
            assert _talk_until_reset(client) > 0
    assert line.resets == len(counts)
    assert sum(counts) <= line.passed < sum(counts) + 3 * (16 << 10)
    with socket.create_connection(("127.0.0.1", line.port), timeout=30) as client:
        assert _back(client, b"later") == b"later"


def test_half_open_line_loses_what_is_said_and_closes_nothing(line: TcpProxy, client: socket.socket) -> None:
    assert _back(client, b"x") == b"x"
    line.swallow()
    client.sendall(b"lost")
    client.settimeout(0.3)
    with pytest.raises(TimeoutError):
        client.recv(1)
    line.swallow(False)
    client.settimeout(30)
    assert _back(client, b"heard") == b"heard"
