"""What is said of an account that was closed, to its person and to whoever runs the hub."""

from __future__ import annotations

from dynolab.errors import Conflict, Unauthorized


def shut_out(email: str) -> Unauthorized:
    """The error for who would come in with something of the account's."""
    return Unauthorized(
        f"the account {email} was closed",
        hint="ask whoever runs this hub: they can open it again",
        details={"reason": "closed"},
    )


def is_closed(email: str) -> Conflict:
    """The error for who would give the account something."""
    return Conflict(f"the account {email} was closed", hint=f"`dynolab hub account open {email}` opens it again")
