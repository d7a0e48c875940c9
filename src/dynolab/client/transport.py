"""The way to a hub that clients, models, datasets and jobs share: its settings, its API, where progress is shown."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from dynolab.client import progress, token_end
from dynolab.client.http import HubApi, Tell, log
from dynolab.client.progress import Display
from dynolab.client.settings import ClientConfig
from dynolab.client.token_end import Ending
from dynolab.errors import SpecInvalid

PAGE = 200
"""The most entries that the hub gives at once."""


class Transport:
    """The API of one hub, by its address and token."""

    def __init__(
        self,
        config: ClientConfig,
        display: Display | None = None,
        token_ends: Ending = token_end.warn,
        tell: Tell = log.warning,
    ) -> None:
        self.config, self.verbose = config, config.verbose
        self.api = HubApi(config, token_ends, tell)
        self._display = display

    def close(self) -> None:
        """Close the connections."""
        self.api.close()

    def use_token(self, token: str) -> None:
        """Use another token than the configured one from now on."""
        self.config = replace(self.config, api_token=token)
        self.api.sign_in(token)

    @property
    def display(self) -> Display:
        """Where progress is shown."""
        return self._display or progress.chosen(self.verbose)

    def list_documents(self, what: str, offset: int, limit: int, **query: Any) -> list[dict[str, Any]]:
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


def object_path(kind: str, id: str) -> str:
    """The path of one object. Raises :class:`SpecInvalid` for an id that would be another path."""
    if not str(id).isalnum() or not str(id).isascii():
        raise SpecInvalid(f"{id!r} is no id of {kind}", hint="ids are letters and digits")
    return f"{kind}/{id}"
