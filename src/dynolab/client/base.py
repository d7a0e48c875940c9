"""What every part of the client builds on: how it is made, and its transport."""

from __future__ import annotations

from urllib.parse import quote

from dynolab.client import settings, token_end
from dynolab.client.http import HubApi, Tell, log
from dynolab.client.progress import Display
from dynolab.client.settings import ClientConfig
from dynolab.client.token_end import Ending
from dynolab.client.transport import Transport
from dynolab.errors import Forbidden

LIST_DEFAULT = 50


class ClientBase:
    """A hub, by its address and token."""

    def __init__(
        self,
        config: ClientConfig | None = None,
        profile: str | None = None,
        default_project_id: str | None = None,
        client_mode: str = "library",
        *,
        display: Display | None = None,
        token_ends: Ending = token_end.warn,
        tell: Tell = log.warning,
    ) -> None:
        self.transport = Transport(config or settings.load(profile), display, token_ends, tell)
        self.project = self.config.default_project if default_project_id is None else default_project_id
        """The project that is worked in where a call names none; empty: none."""

    @property
    def config(self) -> ClientConfig:
        """The hub's address and token."""
        return self.transport.config

    @property
    def api(self) -> HubApi:
        """The hub's JSON API."""
        return self.transport.api

    @property
    def verbose(self) -> bool:
        """Whether transfers and waiting are shown."""
        return self.transport.verbose

    @verbose.setter
    def verbose(self, verbose: bool) -> None:
        self.transport.verbose = verbose

    def close(self) -> None:
        """Close the connections."""
        self.transport.close()

    def set_verbose(self, verbose: bool = True) -> None:
        """Whether transfers and waiting are shown, where somebody looks: on a terminal, in a notebook."""
        self.transport.verbose = verbose

    def set_session_token(self, token: str) -> None:
        """Use another token than the configured one from now on."""
        self.transport.use_token(token)

    def check_project(self, *, makes: bool = False) -> None:
        """See that the hub has the project which this client works in; with ``makes``, that something may be made there.

        Raises :class:`NotFound` and :class:`Forbidden`.
        """
        if not self.project:
            return
        found = self.api.get(f"projects/{quote(self.project, safe='')}")
        if makes and not found.get("may_create", True):  # a hub before this one does not tell
            raise Forbidden(
                f"you may look at the project {found['full_name']}, and make nothing in it",
                hint="its admins can make you a member",
            )

    def _in(self, project: str | None) -> str:
        return self.project if project is None else project
