"""The request that is being answered: what of it use cases may want to know, whichever door it came in by."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime


@dataclass(slots=True)
class Asking:
    """One request, from where, and what is found out of who asks."""

    method: str
    path: str
    address: str = ""
    account_id: int | None = None
    email: str = ""
    token_id: str = ""
    session_id: str = ""
    token_expires_at: datetime | None = None
    token_rotate_after: datetime | None = None

    def noted(self, account_id: int, email: str, *, token_id: str = "", session_id: str = "") -> None:
        """Who asks, and with what, as it is found out."""
        self.account_id, self.email, self.token_id, self.session_id = account_id, email, token_id, session_id

    @property
    def door(self) -> str:
        """The door that it came in by: ``pages``, ``api``, ``aihub``, ``agent`` or ``files``."""
        for path, door in (
            ("/api/hub/", "api"),
            ("/api/v1/", "aihub"),
            ("/api/agent/", "agent"),
            ("/files/", "files"),
        ):
            if self.path.startswith(path):
                return door
        return "pages"


asking: ContextVar[Asking | None] = ContextVar("asking", default=None)
"""None: no request, but this process itself, such as a command of whoever runs the hub."""
