"""What every part of the client stands on: the settings, the way to the hub, where progress is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

from dynolab.client import progress, settings
from dynolab.client.http import HubApi
from dynolab.client.progress import Display
from dynolab.client.settings import ClientConfig
from dynolab.errors import SpecInvalid

if TYPE_CHECKING:
    from dynolab.client.client import Client

LIST_DEFAULT = 50
PAGE = 200
"""The most entries that the hub gives at once."""


class Connected:
    """A hub, by its address and token."""

    def __init__(
        self,
        config: ClientConfig | None = None,
        profile: str | None = None,
        default_project_id: str | None = None,
        client_mode: str = "library",
        *,
        display: Display | None = None,
    ) -> None:
        self.config = config or settings.load(profile)
        self.verbose = self.config.verbose
        self.api = HubApi(self.config)
        self._project, self._display = default_project_id, display

    def close(self) -> None:
        """Close the connections."""
        self.api.close()

    def set_verbose(self, verbose: bool = True) -> None:
        """Whether transfers and waiting are shown, where somebody looks: on a terminal, in a notebook."""
        self.verbose = verbose

    def set_session_token(self, token: str) -> None:
        """Use another token than the configured one from now on."""
        self.config = replace(self.config, api_token=token)
        self.api.sign_in(token)

    @property
    def display(self) -> Display:
        """Where progress is shown."""
        return self._display or progress.chosen(self.verbose)

    def listed(self, what: str, offset: int, limit: int, **query: Any) -> list[dict[str, Any]]:
        """The hub's documents, newest first, without the first ``offset``, at most ``limit``; page by page."""
        if offset < 0 or limit < 0:
            raise SpecInvalid(f"offset {offset} and limit {limit} cannot be", hint="both are 0 or more")
        found: list[dict[str, Any]] = []
        before = None
        while len(found) < offset + limit:
            page = self.api.get(what, limit=min(offset + limit - len(found), PAGE), before=before, **query)
            found += page[what]
            before = page["next"]
            if before is None:
                break
        return found[offset:]

    def _in(self, project: str | None) -> str:
        return project or self._project or ""

    @property
    def _client(self) -> Client:
        """The whole, of which this is a part."""
        return cast("Client", self)


def at(kind: str, id: str) -> str:
    """The path of one object. Raises :class:`SpecInvalid` for an id that would be another path."""
    if not str(id).isalnum() or not str(id).isascii():
        raise SpecInvalid(f"{id!r} is no id of {kind}", hint="ids are letters and digits")
    return f"{kind}/{id}"
