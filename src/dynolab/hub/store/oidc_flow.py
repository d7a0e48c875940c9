"""What a browser keeps between leaving for the provider and coming back: one random text; the rest is drawn from it."""

from __future__ import annotations

import hmac
import secrets
from base64 import urlsafe_b64encode
from dataclasses import dataclass
from hashlib import sha256

from itsdangerous import BadSignature, URLSafeTimedSerializer

FLOW_LIFE_S = 600
"""From the hub's page to the provider's, typing a password and a second factor there, and back."""


@dataclass(frozen=True, slots=True)
class Flow:
    """One sign-in under way. Only ``cookie`` is in the browser; it does not tell the others."""

    cookie: str
    following: str
    """The path of the hub to go on to."""
    state: str
    nonce: str
    verifier: str
    """Of PKCE (RFC 7636); the provider is sent its :attr:`challenge` first."""

    @property
    def challenge(self) -> str:
        """As ``S256`` has it (RFC 7636, section 4.2)."""
        return _text(sha256(self.verifier.encode()).digest())


class Flows:
    """Begins sign-ins and knows them again, with a secret that all replicas share; nothing is kept here."""

    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()
        self._signer = URLSafeTimedSerializer(secret, salt="dynolab oidc")

    def begin(self, following: str) -> Flow:
        """A new one."""
        seed = secrets.token_urlsafe(32)
        return self._drawn(self._signer.dumps([seed, following]), seed, following)

    def read(self, cookie: str) -> Flow | None:
        """The one that a cookie stands for; None where that is forged, or too old."""
        try:
            seed, following = self._signer.loads(cookie, max_age=FLOW_LIFE_S)
        except (BadSignature, ValueError, TypeError):
            return None
        return self._drawn(cookie, seed, following)

    def _drawn(self, cookie: str, seed: str, following: str) -> Flow:
        state, nonce, verifier = (
            _text(hmac.new(self._secret, f"oidc {what} {seed}".encode(), sha256).digest())
            for what in ("state", "nonce", "verifier")
        )
        return Flow(cookie, following, state, nonce, verifier)


def _text(digest: bytes) -> str:
    return urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")
