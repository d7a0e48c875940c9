"""Handles: objects at a hub, each with the transport that it is reached by."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any, ClassVar

from dynolab.client.transport import Transport
from dynolab.errors import NotFound


class Handle(ABC):
    """A job, model or dataset at a hub: its owner may share it and delete it."""

    _transport: Transport

    @property
    @abstractmethod
    def _path(self) -> str:
        """Its path below the hub's API."""

    @property
    def verbose(self) -> bool:
        """Whether transfers and waiting are shown."""
        return self._transport.verbose

    def _fetch(self, what: str, target: Path, title: str) -> Path:
        """Fetch one of its files, by the address below its own, into a folder or under a name; where it is."""
        api = self._transport.api
        found = api.get(f"{self._path}/{what}")
        path = target.expanduser()
        path = path / found["name"] if path.is_dir() else path
        if not path.parent.is_dir():
            raise NotFound(f"there is no folder {path.parent}", hint="make it first, or name another")
        with self._transport.display.transfer(title) as counted:
            api.download(found["url"], path, found["bytes"], counted)
        return path

    def get_sharing(self) -> list[str]:
        """The e-mail addresses of those it is shared with."""
        return list(self._transport.api.get(f"{self._path}/sharing")["emails"])

    def modify_sharing(
        self, add_emails: Sequence[str] | None = None, delete_emails: Sequence[str] | None = None
    ) -> None:
        """Share it with some, and no longer with others. With a job go its model and its data."""
        asked = {"add": list(add_emails or ()), "remove": list(delete_emails or ())}
        self._transport.api.send("PATCH", f"{self._path}/sharing", asked)

    def disable_sharing(self) -> None:
        """Share it with nobody."""
        self._transport.api.send("DELETE", f"{self._path}/sharing")

    def delete(self) -> None:
        """Delete it with its bytes. Raises :class:`~dynolab.errors.Conflict` while a job that is not over needs it."""
        self._transport.api.send("DELETE", self._path)


class FileHandle(Handle):
    """What a model and a dataset have in common."""

    KIND: ClassVar[str]
    """``model`` or ``dataset``."""

    def __init__(self, transport: Transport, document: dict[str, Any]) -> None:
        self._transport, self.document = transport, document

    @property
    def id(self) -> str:
        """Its id."""
        return str(self.document["id"])

    @property
    def name(self) -> str:
        """The name that it was given."""
        return str(self.document["name"])

    @property
    def project(self) -> str | None:
        """``ORGANISATION.PROJECT``; None: a personal space."""
        return self.document.get("project")

    @property
    def date(self) -> datetime:
        """When it was made."""
        return datetime.fromisoformat(self.document["created_at"])

    def set_name(self, name: str) -> None:
        """Give it another name."""
        self.document = self._transport.api.send("PATCH", self._path, {"name": name})

    @property
    def _path(self) -> str:
        return f"{self.KIND}s/{self.id}"

    def _download(self, target: str | Path) -> Path:
        return self._fetch("download", Path(target), f"downloading {self.KIND} {self.name}")

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.KIND}_id={self.id!r}, name={self.name!r})"
