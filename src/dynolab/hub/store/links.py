"""Addresses of files that authorise themselves: signed, with an end, so that whoever holds one needs no token."""

from __future__ import annotations

from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeTimedSerializer

LINK_LIFE_S = 24 * 3600
"""As long as the longest upload with all its retries may take."""


@dataclass(frozen=True, slots=True)
class Link:
    """What an address allows: ``verb`` on ``target`` (an upload, a blob), and for a part which."""

    verb: str
    target: str
    number: int = 0


class Links:
    """Makes and reads addresses' tokens, with a secret that all replicas share."""

    def __init__(self, secret: str) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="dynolab files")

    def sign(self, link: Link) -> str:
        """The token of a link."""
        return self._signer.dumps([link.verb, link.target, link.number])

    def read(self, token: str, verb: str, *, life_s: float = LINK_LIFE_S) -> Link | None:
        """The link that a token stands for; None when it is forged, for another verb, or past its end."""
        try:
            found = self._signer.loads(token, max_age=int(life_s))
        except BadSignature:
            return None
        link = Link(*found)
        return link if link.verb == verb else None
