"""What can be shared with others: jobs, models, datasets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from dynolab.client.http import HubApi
from dynolab.errors import NotFound

if TYPE_CHECKING:
    from dynolab.client.client import Client


class Shared(ABC):
    """Something at a hub that its owner may let others see."""

    _owner: Client

    @abstractmethod
    def _place(self) -> tuple[HubApi, str]:
        """The hub, and where it lies below its API."""

    def _fetch(self, what: str, target: Path, title: str) -> Path:
        """Fetch one of its files, by the address below its own, into a folder or under a name; where it is."""
        api, where = self._place()
        found = api.get(f"{where}/{what}")
        path = target.expanduser()
        path = path / found["name"] if path.is_dir() else path
        if not path.parent.is_dir():
            raise NotFound(f"there is no folder {path.parent}", hint="make it first, or name another")
        with self._owner.display.transfer(title) as counted:
            api.download(found["url"], path, found["bytes"], counted)
        return path

    def get_sharing(self) -> list[str]:
        """The e-mail addresses of those it is shared with."""
        api, path = self._place()
        return list(api.get(f"{path}/sharing")["emails"])

    def modify_sharing(
        self, add_emails: Sequence[str] | None = None, delete_emails: Sequence[str] | None = None
    ) -> None:
        """Share it with some, and no longer with others. With a job go its model and its data."""
        api, path = self._place()
        api.send("PATCH", f"{path}/sharing", {"add": list(add_emails or ()), "remove": list(delete_emails or ())})

    def disable_sharing(self) -> None:
        """Share it with nobody."""
        api, path = self._place()
        api.send("DELETE", f"{path}/sharing")

    def delete(self) -> None:
        """Delete it with its bytes. Raises :class:`~dynolab.errors.Conflict` while a job that is not over needs it."""
        api, path = self._place()
        api.send("DELETE", path)
