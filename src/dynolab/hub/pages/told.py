"""What was done, told once on the page that comes after it: a cookie carries it there."""

from __future__ import annotations

import json
import re
import zlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TypeVar
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import Response

from dynolab.errors import Error, SpecInvalid
from dynolab.hub.pages.texts import refusal
from dynolab.hub.pages.visitors import go
from dynolab.spec import codec

COOKIE = "dynolab_told"
ELSEWHERE = "dynolab_told_here"
"""Of one page alone: the browser sends the list's cookie to a job's page as well."""
SECRET = "dynolab_made"
PLACE = "/jobs/"
"""The list of jobs."""
PLAIN = re.compile("[/A-Za-z0-9_.-]+")
"""Paths that a cookie can be limited to as they are; those of all pages that tell are."""
LIFE_S = 60
BYTES_MOST = 3000
"""A browser keeps 4096 of a cookie, its name and attributes included (RFC 6265, 6.1)."""
NAME_MOST, REASON_MOST = 80, 300


class What(StrEnum):
    """What was done, or why nothing was."""

    RENAME = "rename"
    REVOKE = "revoke"
    SIGN_OUT = "sign-out"
    SIGN_OUT_OTHERS = "sign-out-others"
    CANCEL = "cancel"
    RERUN = "rerun"
    SHARE = "share"
    SHARE_STRANGER = "share-stranger"
    UNSHARE = "unshare"
    DELETE = "delete"
    LET_SEND = "let-send"
    LET_JOIN = "let-join"
    SHUT_OUT = "shut-out"
    OPEN = "open"
    CLOSE = "close"
    TRUST = "trust"
    DISTRUST = "distrust"
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
    return refusal(error)[:REASON_MOST]


def shared(end: bool, strangers: Sequence[str]) -> What:
    """What a change of sharing is called."""
    return What.UNSHARE if end else What.SHARE_STRANGER if strangers else What.SHARE


@dataclass(frozen=True, slots=True)
class Made:
    """A new token; no other page ever shows its secret."""

    kind: str
    secret: str


def go_and_tell(request: Request, path: str, told: Told) -> Response:
    """On to a page, which tells what was done."""
    place = urlsplit(path).path
    packed = _packed(replace(told, name=told.name[:NAME_MOST], with_whom=told.with_whom[:NAME_MOST]))
    return _left(request, path, COOKIE if place == PLACE else ELSEWHERE, packed)


def go_and_show(request: Request, path: str, made: Made) -> Response:
    """On to a page, which shows what was made."""
    return _left(request, path, SECRET, _written(made))


def _left(request: Request, path: str, cookie: str, content: str) -> Response:
    answer, secure = go(request, path), request.url.scheme == "https"
    place = urlsplit(path).path
    if PLAIN.fullmatch(place):
        answer.set_cookie(cookie, content, LIFE_S, path=place, httponly=True, samesite="lax", secure=secure)
    return answer


def _packed(told: Told) -> str:
    """As a cookie: of too many reasons, the last are counted only."""
    while len(text := _written(told)) > BYTES_MOST:
        told = replace(told, refused=told.refused[:-1], more=told.more + 1)
    return text


def _written(thing: Told | Made) -> str:
    content = json.dumps(codec.encode(thing), ensure_ascii=False)
    return urlsafe_b64encode(zlib.compress(content.encode(), 9)).decode("ascii")


Left = TypeVar("Left", Told, Made)


def _read(request: Request, cookie: str, kind: type[Left]) -> Left | None:
    """What the page before left; None: nothing, or nothing that was packed here."""
    try:
        packed = urlsafe_b64decode(request.cookies.get(cookie, ""))
        return codec.decode(kind, json.loads(zlib.decompressobj().decompress(packed, 100 * BYTES_MOST)))
    except (ValueError, zlib.error, RecursionError, SpecInvalid):
        return None


def read_told(request: Request) -> Told | None:
    """What the page before left to be told."""
    return _read(request, COOKIE if request.url.path == PLACE else ELSEWHERE, Told)


def read_made(request: Request) -> Made | None:
    """What the page before left to be shown."""
    return _read(request, SECRET, Made)


def forget_told(request: Request, answer: Response) -> Response:
    """The answer: it was told once."""
    for cookie in (COOKIE, ELSEWHERE, SECRET):
        if cookie in request.cookies and (cookie != COOKIE or request.url.path == PLACE):
            answer.delete_cookie(cookie, path=request.url.path)
    return answer
