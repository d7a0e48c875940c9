"""Addresses of files: signed, with an end, for clients that send no token with them."""

from __future__ import annotations

import time
from dataclasses import dataclass

from itsdangerous import BadSignature, TimestampSigner, URLSafeTimedSerializer

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


class _Signer(TimestampSigner):
    """Tells the time by a clock that nobody sets: the wall's as it was at the start, and what has passed since."""

    _START_S = time.time() - time.monotonic()

    @classmethod
    def now_s(cls) -> int:
        """Seconds since 1970."""
        return int(cls._START_S + time.monotonic())

    def get_timestamp(self) -> int:
        return self.now_s()


class Links:
    """Makes and reads addresses' tokens, with a secret that all replicas share."""

    def __init__(self, secret: str) -> None:
        self._signer = URLSafeTimedSerializer(secret, salt="dynolab files", signer=_Signer)

    def sign(self, link: Link) -> str:
        """The token of a link."""
        return self._signer.dumps([link.verb, link.target, link.holder, link.number])

    def read(self, token: str, *, life_s: float) -> Link | None:
        """The link that a token stands for; None when it is forged, or past its end.

        One from the future is good: a replica whose clock goes otherwise made it, or this one before its clock was set.
        """
        try:
            found, at = self._signer.loads(token, return_timestamp=True)
        except BadSignature:
            return None
        if abs(_Signer.now_s() - at.timestamp()) > life_s:
            return None
        return Link(*found) if len(found) == 4 else None
