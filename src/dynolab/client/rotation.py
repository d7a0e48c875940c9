"""The configured token gets a new secret, into the file that it is kept in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from dynolab.client import settings
from dynolab.client.base import ClientBase
from dynolab.errors import Forbidden, Unavailable


def rotate(client: ClientBase, place: Path, days: float | None = None) -> dict[str, Any]:
    """The token as the hub tells it, with its new secret, which ``place`` holds from now on; ``days``: its life, None: as before.

    It is seen first that the file can be written. Raises :class:`Forbidden` where it cannot, and what the hub refuses.
    """
    old, account = client.config.api_token, f"{client.config.pages}/account/"
    try:
        settings.replace_token(place, old, old)
    except OSError as error:
        raise Forbidden(
            f"{place} cannot be written: {error.strerror}", hint=f"rotate it on the page {account}"
        ) from error
    asked = {} if days is None else {"days": days}
    try:
        made: dict[str, Any] = client.api.send("POST", "tokens/own/rotate", asked)
    except Unavailable as error:
        raise Unavailable(
            f"{error.message}; the token may be rotated all the same",
            hint=f"try again; if it was rotated already, make another one on the page {account}",
        ) from error
    try:
        settings.replace_token(place, old, made["secret"])
    except OSError as error:
        raise Forbidden(
            f"the token is rotated, and {place} cannot be written with its new secret: {error.strerror}",
            hint=f"the old one is good until {made['previous_until']}: make another token on the page {account}",
        ) from error
    client.set_session_token(made["secret"])
    return made
