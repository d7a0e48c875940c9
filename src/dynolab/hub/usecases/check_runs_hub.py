"""Whether somebody runs the hub, and so lets people in and shuts them out."""

from __future__ import annotations

from dynolab.errors import Forbidden
from dynolab.hub.usecases.access import check_whole
from dynolab.hub.usecases.base import Account
from dynolab.hub.usecases.policy import Standing, Verb, may

OPERATOR = Account(id=0, email="", name="", token_id="", is_admin=True)
"""Whoever has the hub's disk; no account has this number."""


def check_runs_hub(account: Account) -> None:
    """Raises :class:`Forbidden` for who does not run the hub, and for a token that is bound to a project."""
    check_whole(account)
    if not may(Verb.RUN, Standing(runs_hub=account.is_admin)):
        raise Forbidden("people's accounts are for those who run the hub", hint="the page /account/ is your own")
