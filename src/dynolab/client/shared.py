"""What can be shared with others: jobs, models, datasets."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from dynolab.client.http import HubApi


class Shared(ABC):
    """Something at a hub that its owner may let others see."""

    __slots__ = ()

    @abstractmethod
    def _place(self) -> tuple[HubApi, str]:
        """The hub, and where it lies below its API."""

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
