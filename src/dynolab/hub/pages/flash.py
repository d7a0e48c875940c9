"""Flash messages: what was done is said once, on the page that comes after it; a cookie carries the message there."""

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
from dynolab.hub.pages.redirects import redirect
from dynolab.hub.pages.texts import refusal
from dynolab.spec import codec

LIST_COOKIE = "dynolab_flash"
PAGE_COOKIE = "dynolab_flash_here"
"""Of one page alone: the browser sends the list's cookie to a job's page as well."""
TOKEN_COOKIE = "dynolab_new_token"
JOB_LIST = "/jobs/"
"""The list of jobs."""
PLAIN = re.compile("[/A-Za-z0-9_.-]+")
"""Paths that a cookie can be limited to as they are; those of all pages with flash messages are."""
LIFE_S = 60
BYTES_MOST = 3000
"""A browser keeps 4096 of a cookie, its name and attributes included (RFC 6265, 6.1)."""
NAME_MOST, REASON_MOST = 80, 300


class Action(StrEnum):
    """What was done, or why nothing was."""

    RENAME = "rename"
    REVOKE = "revoke"
    REVOKE_JOIN = "revoke-join"
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
    QUARANTINE = "quarantine"
    RELEASE = "release"
    RELEARN = "relearn"
    MADE = "made"
    NAME_MEMBER = "name-member"
    REMOVE_MEMBER = "remove-member"
    UNINVITE = "uninvite"
    KEEP = "keep"
    PIN = "pin"
    UNPIN = "unpin"
    GIVE = "give"
    CLOSE_ACCOUNT = "close-account"
    OPEN_ACCOUNT = "open-account"
    GIVE_ADMIN = "give-admin"
    END_ADMIN = "end-admin"
    COMPARE = "compare"
    NOTHING = "nothing"
    NOT_TWO = "not-two"
    TOO_MANY = "too-many"


@dataclass(frozen=True, slots=True)
class Flash:
    """``action`` was done with ``count`` jobs: the only one's name and where it is; ``refused`` are names and reasons."""

    action: Action
    count: int = 0
    name: str = ""
    job_id: str = ""
    with_whom: str = ""
    refused: tuple[tuple[str, str], ...] = ()
    more: int = 0
    """Others that were refused, and had no room."""


def refusals(refused: Sequence[tuple[str, Error]]) -> tuple[tuple[str, str], ...]:
    """Names and reasons as a flash message holds them, cut to a length."""
    return tuple((name[:NAME_MOST], _reason(error)) for name, error in refused)


def _reason(error: Error) -> str:
    return refusal(error)[:REASON_MOST]


def sharing_action(end: bool, strangers: Sequence[str]) -> Action:
    """The action that a change of sharing was."""
    return Action.UNSHARE if end else Action.SHARE_STRANGER if strangers else Action.SHARE


@dataclass(frozen=True, slots=True)
class NewToken:
    """A new token; no other page ever shows its secret."""

    kind: str
    secret: str
    whose: str = ""
    """The address of whom it was made for; empty: of who made it."""


def redirect_with_flash(request: Request, path: str, flash: Flash) -> Response:
    """A redirect to a page, which shows the flash message."""
    place = urlsplit(path).path
    packed = _packed(replace(flash, name=flash.name[:NAME_MOST], with_whom=flash.with_whom[:NAME_MOST]))
    return _redirect_with_cookie(request, path, LIST_COOKIE if place == JOB_LIST else PAGE_COOKIE, packed)


def redirect_with_new_token(request: Request, path: str, token: NewToken) -> Response:
    """A redirect to a page, which shows the new token."""
    return _redirect_with_cookie(request, path, TOKEN_COOKIE, _encoded(token))


def _redirect_with_cookie(request: Request, path: str, cookie: str, content: str) -> Response:
    answer, secure = redirect(request, path), request.url.scheme == "https"
    place = urlsplit(path).path
    if PLAIN.fullmatch(place):
        answer.set_cookie(cookie, content, LIFE_S, path=place, httponly=True, samesite="lax", secure=secure)
    return answer


def _packed(flash: Flash) -> str:
    """As a cookie: of too many reasons, the last are counted only."""
    while len(text := _encoded(flash)) > BYTES_MOST:
        flash = replace(flash, refused=flash.refused[:-1], more=flash.more + 1)
    return text


def _encoded(content: Flash | NewToken) -> str:
    text = json.dumps(codec.encode(content), ensure_ascii=False)
    return urlsafe_b64encode(zlib.compress(text.encode(), 9)).decode("ascii")


CookieContent = TypeVar("CookieContent", Flash, NewToken)


def _read(request: Request, cookie: str, kind: type[CookieContent]) -> CookieContent | None:
    """What is in the cookie; None: nothing, or nothing that was packed here."""
    try:
        packed = urlsafe_b64decode(request.cookies.get(cookie, ""))
        return codec.decode(kind, json.loads(zlib.decompressobj().decompress(packed, 100 * BYTES_MOST)))
    except (ValueError, zlib.error, RecursionError, SpecInvalid):
        return None


def read_flash(request: Request) -> Flash | None:
    """The flash message that the page before left; None: there is none."""
    return _read(request, LIST_COOKIE if request.url.path == JOB_LIST else PAGE_COOKIE, Flash)


def read_new_token(request: Request) -> NewToken | None:
    """The token that the page before made; None: there is none."""
    return _read(request, TOKEN_COOKIE, NewToken)


def clear_flash(request: Request, answer: Response) -> Response:
    """The answer, which removes the cookies: a flash message is shown once."""
    for cookie in (LIST_COOKIE, PAGE_COOKIE, TOKEN_COOKIE):
        if cookie in request.cookies and (cookie != LIST_COOKIE or request.url.path == JOB_LIST):
            answer.delete_cookie(cookie, path=request.url.path)
    return answer
