"""What a token may be used for, and which of that each request needs. All doors ask here, and nowhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable

from dynolab.errors import Forbidden, SpecInvalid

READ, SUBMIT, MANAGE, AGENT = "read", "submit", "manage", "agent"
SCOPES = {"user": (READ, SUBMIT, MANAGE), "agent": (AGENT,)}
"""By the token's kind. Each of a user's holds those before it: who may submit may read."""
ALL = frozenset((READ, SUBMIT, MANAGE, AGENT))
"""Of a browser that was not signed in by a token: what its account may do at all."""
_READS = ("GET", "HEAD", "OPTIONS")
_SUBMITS = (
    ("POST", r"/api/hub/v1/(models|datasets|jobs)"),
    ("POST", r"/api/hub/v1/(models|datasets)/[^/]+/uploads(/[^/]+/complete)?"),
    ("POST", r"/api/hub/v1/jobs/[^/]+/(cancel|rerun)"),
    ("PATCH", r"/api/hub/v1/(models|datasets|jobs)/[^/]+"),
    ("POST", r"/api/v1/(projects/[^/]+/)?(models|datasets|jobs)/"),
    ("POST", r"/api/v1/models/[^/]+/multipart_upload/"),
    ("PATCH", r"/api/v1/(datasets|jobs)/[^/]+/"),
    ("POST", r"/submit(/uploads/.+)?"),
    ("POST", r"/jobs/(selected|[^/]+)/(rerun|cancel|rename|pin)"),
    ("POST", r"/(models|datasets)/[^/]+/rename"),
)
"""What gives the hub work, and names to what one has; all else that changes something needs ``manage``."""
_SUBMIT = re.compile("|".join(f"{verb} {path}" for verb, path in _SUBMITS))
_LOOKS = re.compile(r"/choose-project|/jobs/selected/compare(-outputs)?")
"""Forms that only choose what is looked at."""
_EVERYBODYS = re.compile(r"/(api/hub/v1/)?audit(/|$)|/(api/hub/v1/accounts|people)(/|$)")
"""What everybody did, and who there is, is for tokens that may do everything, too."""
OWN = re.compile(r"POST /api/hub/v1/tokens/own/rotate")
"""What any token may do with itself."""


def needed(method: str, path: str) -> str | None:
    """The scope that a request needs; None: any will do."""
    if path.startswith("/api/agent/"):
        return AGENT
    if _EVERYBODYS.match(path):
        return MANAGE
    if method in _READS or _LOOKS.fullmatch(path):
        return READ
    asked = f"{method} {path}"
    if OWN.fullmatch(asked):
        return None
    return SUBMIT if _SUBMIT.fullmatch(asked) else MANAGE


def held(kind: str, scopes: Iterable[str]) -> frozenset[str]:
    """All that a token with these scopes may; none named: all of its kind, as before there were scopes."""
    known = SCOPES[kind]
    named = [known.index(one) for one in scopes if one in known]
    return frozenset(known[: max(named) + 1] if named else known)


def strongest(kind: str, scopes: Iterable[str]) -> str:
    """The one scope that holds all the token's others."""
    found = held(kind, scopes)
    return next(one for one in reversed(SCOPES[kind]) if one in found)


def checked_scopes(kind: str, scopes: Iterable[str]) -> list[str]:
    """The scopes as a token of that kind keeps them; none: all. Raises :class:`SpecInvalid`."""
    found, known = list(dict.fromkeys(scopes)), SCOPES[kind]
    wrong = next((one for one in found if one not in known), None)
    if wrong is not None:
        raise SpecInvalid(
            f"the scope {wrong[:40]!r} is not known of a token of this kind", hint=f"known: {', '.join(known)}"
        )
    return [known[max(map(known.index, found))] if found else known[-1]]


def check_scope(scopes: frozenset[str], method: str, path: str) -> None:
    """Raises :class:`Forbidden` where the request needs what is not among the scopes."""
    wanted = needed(method, path)
    if wanted is not None and wanted not in scopes:
        raise Forbidden(
            f"the token's scope does not allow this: it needs {wanted!r}",
            hint="make a token with that scope on the page /account/",
        )
