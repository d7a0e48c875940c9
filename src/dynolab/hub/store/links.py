"""Addresses of files: signed, with an end, for clients that send no token with them."""

from __future__ import annotations

from dataclasses import dataclass

from itsdangerous import BadSignature, URLSafeTimedSerializer

UPLOAD_LIFE_S = 24 * 3600
"""As long as the longest upload with all its retries may take."""
READ_LIFE_S = 15 * 60
"""From the address to the download's beginning; whoever still has access asks for a new one."""


@dataclass(frozen=True, slots=True)
class Link:
    """What an address allows: ``verb`` on ``target`` (an upload, a model, a job's log), and for a part which.

    It allows that only as long as its ``holder`` does not lose what it was made with (see
    :mod:`dynolab.hub.usecases.open_link`).
    """

    verb: str
    target: str
    holder: str
    number: int = 0


class Links:
    """Makes and reads addresses' tokens, with a secret that all replicas share."""

    def __init__(self, secret: str) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="dynolab files")

    def sign(self, link: Link) -> str:
        """The token of a link."""
        return self._signer.dumps([link.verb, link.target, link.holder, link.number])

    def read(self, token: str, *, life_s: float) -> Link | None:
        """The link that a token stands for; None when it is forged, or past its end."""
        try:
            found = self._signer.loads(token, max_age=int(life_s))
        except BadSignature:
            return None
        return Link(*found) if len(found) == 4 else None
