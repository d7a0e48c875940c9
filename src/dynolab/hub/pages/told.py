"""What was done, told once on the page that comes after it: a cookie carries it there."""

from __future__ import annotations

import json
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from dynolab.errors import Error, SpecInvalid
from dynolab.hub.pages.visitors import go
from dynolab.spec import codec

COOKIE = "dynolab_told"
PLACE = "/jobs/"
"""The page that tells it."""
LIFE_S = 60
BYTES_MOST = 3000
"""A browser keeps 4096 of a cookie, its name and attributes included (RFC 6265, 6.1)."""
NAME_MOST, REASON_MOST = 80, 300


class What(StrEnum):
    """What was done, or why nothing was."""

    RENAME = "rename"
    CANCEL = "cancel"
    RERUN = "rerun"
    SHARE = "share"
    UNSHARE = "unshare"
    DELETE = "delete"
    COMPARE = "compare"
    NOTHING = "nothing"
    TOO_MANY = "too-many"


@dataclass(frozen=True, slots=True)
class Told:
    """``what`` was done with ``count`` jobs: the only one's name and where it is; ``refused`` are names and reasons."""

    what: What
    count: int = 0
    name: str = ""
    job_id: str = ""
    with_whom: str = ""
    refused: tuple[tuple[str, str], ...] = ()
    more: int = 0
    """Others that were refused, and had no room."""


def refusals(refused: Sequence[tuple[str, Error]]) -> tuple[tuple[str, str], ...]:
    """Names and reasons as they are told, no longer than has to be."""
    return tuple((name[:NAME_MOST], _reason(error)) for name, error in refused)


def _reason(error: Error) -> str:
    return ": ".join(filter(None, (error.message, error.hint)))[:REASON_MOST]


def go_and_tell(request: Request, path: str, told: Told) -> Response:
    """On to a page; the list of jobs tells what was done."""
    answer = go(request, path)
    if urlsplit(path).path == PLACE:
        secure = request.url.scheme == "https"
        answer.set_cookie(COOKIE, _packed(told), LIFE_S, path=PLACE, httponly=True, samesite="lax", secure=secure)
    return answer


def _packed(told: Told) -> str:
    """As a cookie: of too many reasons, the last are counted only."""
    told = replace(told, name=told.name[:NAME_MOST], with_whom=told.with_whom[:NAME_MOST])
    while True:
        content = json.dumps(codec.encode(told), ensure_ascii=False)
        text = urlsafe_b64encode(zlib.compress(content.encode(), 9)).decode("ascii")
        if len(text) <= BYTES_MOST:
            return text
        told = replace(told, refused=told.refused[:-1], more=told.more + 1)


def read_told(request: Request) -> Told | None:
    """What the page before left to be told; None: nothing, or nothing that was packed here."""
    try:
        packed = urlsafe_b64decode(request.cookies.get(COOKIE, ""))
        return codec.decode(Told, json.loads(zlib.decompressobj().decompress(packed, 100 * BYTES_MOST)))
    except (ValueError, zlib.error, RecursionError, SpecInvalid):
        return None


def forget_told(answer: Response) -> None:
    """It is told once."""
    answer.delete_cookie(COOKIE, path=PLACE)
