"""A proxy before an object store that answers with errors, answers late, or hangs up, as it is told."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import urlsplit

ERRORS = ((500, "InternalError"), (503, "SlowDown"))
"""What S3 answers with at times, and asks to be asked again for (Amazon S3, "Error responses")."""
LEFT_OUT = ("connection", "transfer-encoding", "keep-alive")


class FaultyStore(ThreadingHTTPServer):
    """Before the store at ``target``. What befalls a request is drawn with the seed."""

    daemon_threads = True
    request_queue_size = 128

    def __init__(self, target: str, seed: int = 1) -> None:
        super().__init__(("127.0.0.1", 0), _Passing)
        self.target = urlsplit(target).netloc
        self.error_share = self.reset_share = self.slow_s = 0.0
        self.answered: Counter[str] = Counter()
        self.draw = random.Random(seed)
        self._serving = threading.Thread(target=self.serve_forever, daemon=True)
        self._serving.start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"

    def mend(self) -> None:
        """Every request is passed on, at once."""
        self.error_share = self.reset_share = self.slow_s = 0.0

    def close(self) -> None:
        self.shutdown()
        self._serving.join()
        self.server_close()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever asked has hung up."""


class _Passing(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: FaultyStore

    def do_GET(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self.server.slow_s:
            self.server.answered["late"] += 1
            time.sleep(self.server.slow_s)
        if self.server.draw.random() < self.server.reset_share:
            self.server.answered["hung up"] += 1
            self.close_connection = True
            return
        if self.server.draw.random() < self.server.error_share:
            status, code = self.server.draw.choice(ERRORS)
            self.server.answered[f"{status}"] += 1
            self._answer(status, {}, f"<Error><Code>{code}</Code><Message>drill</Message></Error>".encode())
            return
        self._pass_on(body)

    do_PUT = do_POST = do_DELETE = do_HEAD = do_GET  # noqa: N815 - http.server calls them so

    def _pass_on(self, body: bytes) -> None:
        onward = HTTPConnection(self.server.target, timeout=60)
        try:
            onward.request(self.command, self.path, body, dict(self.headers))
            answer = onward.getresponse()
            headers = {name: value for name, value in answer.getheaders() if name.lower() not in LEFT_OUT}
            self.server.answered["passed on"] += 1
            self._answer(answer.status, headers, answer.read())
        except (OSError, HTTPException):
            self.close_connection = True
        finally:
            onward.close()

    def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
        self.send_response_only(status)
        length = next((value for name, value in headers.items() if name.lower() == "content-length"), str(len(body)))
        for name, value in headers.items():
            if name.lower() != "content-length":
                self.send_header(name, value)
        self.send_header("Content-Length", length)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *arguments: Any) -> None:
        pass
