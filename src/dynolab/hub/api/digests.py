"""The digest that a sender tells of its bytes, compared with what came (``Content-Digest`` of RFC 9530)."""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import AsyncIterable, AsyncIterator

from dynolab.errors import SpecInvalid

ALGORITHMS = {"sha-256": hashlib.sha256, "sha-512": hashlib.sha512}
"""The active ones of RFC 9530, section 5. Others are passed over."""
_MEMBER = re.compile(r"\s*([a-z0-9-]+)\s*=\s*:([A-Za-z0-9+/=]*):\s*")


async def checked(header: str | None, chunks: AsyncIterable[bytes]) -> AsyncIterator[bytes]:
    """The same bytes. Raises :class:`SpecInvalid` after the last when they are others than the header tells of."""
    told = _read(header) if header else {}
    made = {name: ALGORITHMS[name]() for name in told}
    async for chunk in chunks:
        for one in made.values():
            one.update(chunk)
        yield chunk
    for name, one in made.items():
        if one.digest() != told[name]:
            came = base64.b64encode(one.digest()).decode("ascii")
            raise SpecInvalid(
                f"the bytes that came have the digest {name}=:{came}:",
                hint="send them again",
                details={"digest": f"{name}=:{came}:"},
            )


def _read(header: str) -> dict[str, bytes]:
    """The digests of a header such as ``sha-256=:d435Qo+nKZ+gLcUHn7GQtQ72hiBVAgqoLsZnZPiTGPk=:``."""
    told = {}
    for member in header.split(","):
        found = _MEMBER.fullmatch(member)
        try:
            value = base64.b64decode(found[2], validate=True) if found else None
        except binascii.Error:
            value = None
        if found is None or value is None:
            raise SpecInvalid(f"Content-Digest: {member.strip()[:100]!r} is none", hint="sha-256=:BASE64:")
        if found[1] in ALGORITHMS:
            told[found[1]] = value
    return told
