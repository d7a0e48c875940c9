"""A proxy between a hub and its clients, as bad as proxies can be."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

PASSED = ("Content-Type", "ETag", "Retry-After")


class Proxy(ThreadingHTTPServer):
    """Passes requests on to a hub, but for paths that it answers itself, as often as it is told, and counts that.

    On request it alters the bytes of parts of uploads.
    """

    daemon_threads = True

    def __init__(self, hub: str) -> None:
        super().__init__(("127.0.0.1", 0), Passing)
        self.hub = urlsplit(hub).netloc
        self.refuse: dict[str, tuple[int, bytes]] = {}
        """Status and body by a part of the path."""
        self.most = 10**9
        self.refused: list[str] = []
        self.to_alter = self.altered = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Passing(BaseHTTPRequestHandler):
    server: Proxy

    def do_POST(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(length)
        found = next((one for one in self.server.refuse if one in self.path), None)
        if found is not None and len(self.server.refused) < self.server.most:
            self.server.refused.append(found)
            self._answer(*self.server.refuse[found])
            return
        if "/files/parts/" in self.path and self.server.altered < self.server.to_alter:
            self.server.altered += 1
            body = bytes([body[0] ^ 1]) + body[1:]
        onward = HTTPConnection(self.server.hub, timeout=60)
        try:
            onward.request(self.command, self.path, body, dict(self.headers))
            answer = onward.getresponse()
            passed = {name: value for name in PASSED if (value := answer.getheader(name))}
            self._answer(answer.status, answer.read(), **passed)
        finally:
            onward.close()

    do_PUT = do_GET = do_POST  # noqa: N815 - http.server calls them so

    def _answer(self, status: int, body: bytes, **headers: str) -> None:
        self.send_response(status)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass


@contextmanager
def passing(hub: str) -> Iterator[Proxy]:
    """One before the hub of this address, until the block ends."""
    server = Proxy(hub)
    serving = threading.Thread(target=server.serve_forever, daemon=True)
    serving.start()
    try:
        yield server
    finally:
        server.shutdown()
        serving.join()
        server.server_close()
