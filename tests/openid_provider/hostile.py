"""An issuer that lies in one way at a time: what it says is decided by the test, to the byte."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

from joserfc import jwt
from joserfc.jwk import RSAKey

KEY, OTHER, UNKNOWN = (RSAKey.generate_key(2048, {"kid": kid, "use": "sig"}) for kid in ("first", "second", "third"))
"""The first one is published, the second in a test of changed keys, after which a hub may know it; the third never."""


@dataclass
class Issuer:
    """What it answers with; each is an honest provider's until a test changes it."""

    url: str = ""
    claims: dict[str, Any] = field(default_factory=dict)
    header: dict[str, Any] = field(default_factory=lambda: {"alg": "RS256", "kid": "first"})
    key: Any = field(default_factory=lambda: KEY)
    published: list[Any] = field(default_factory=lambda: [KEY])
    sign: Callable[[dict[str, Any], dict[str, Any], Any], str] = field(default_factory=lambda: jwt.encode)
    described: dict[str, Any] = field(default_factory=dict)
    user_info: dict[str, Any] | None = None
    token_answer: tuple[int, bytes] | None = None
    discovery_answer: tuple[int, bytes] | None = None
    asked: list[dict[str, str]] = field(default_factory=list)
    """The forms that its token endpoint was sent."""
    authorizations: list[str] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        places = {
            "authorization_endpoint": "auth",
            "token_endpoint": "token",
            "userinfo_endpoint": "me",
            "jwks_uri": "keys",
        }
        return {"issuer": self.url, **{name: f"{self.url}/{path}" for name, path in places.items()}, **self.described}

    def honest(self, nonce: str) -> dict[str, Any]:
        now = int(time.time())
        return {
            "iss": self.url, "aud": "dynolab", "sub": "ana", "iat": now, "exp": now + 300, "nonce": nonce,
            "email": "ana@example.org", "email_verified": True,
        }  # fmt: skip

    def id_token(self) -> str:
        return self.sign(self.header, self.claims, self.key)

    def answer(self, path: str) -> tuple[int, bytes]:
        if path.endswith("openid-configuration"):
            return self.discovery_answer or (200, json.dumps(self.document()).encode())
        if path == "/keys":
            return 200, json.dumps({"keys": [one.as_dict(private=False) for one in self.published]}).encode()
        if path == "/me":
            return 200, json.dumps(self.user_info or {"sub": self.claims.get("sub")}).encode()
        tokens = {"access_token": "at", "token_type": "Bearer", "id_token": self.id_token()}
        return self.token_answer or (200, json.dumps(tokens).encode())


@contextmanager
def hostile_issuer() -> Iterator[Issuer]:
    """It runs on a free port of this machine."""
    issuer = Issuer()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            form = parse_qs(self.rfile.read(int(self.headers["content-length"])).decode())
            issuer.asked.append({name: values[0] for name, values in form.items()})
            issuer.authorizations.append(self.headers.get("authorization", ""))
            self._answer()

        def _answer(self) -> None:
            status, content = issuer.answer(self.path)
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing is written down."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        serving = threading.Thread(target=server.serve_forever, daemon=True)
        serving.start()
        issuer.url = f"http://127.0.0.1:{server.server_address[1]}"
        yield issuer
        server.shutdown()
        serving.join()
