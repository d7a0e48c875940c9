"""What a connection to a device is: run a command there, move files there and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import ClassVar


class Connection(ABC):
    """One device, reached. Paths on the device are plain strings: it may be another system."""

    name: ClassVar[str]
    python: str
    """The interpreter on the device that has dynolab installed."""

    @abstractmethod
    def workspace(self) -> AbstractContextManager[str]:
        """A fresh folder on the device; it is gone, with all in it, when the context ends, however it ends."""

    @abstractmethod
    def push(self, source: Path, target: str) -> None:
        """Copy a file to the device. Raises :class:`~dynolab.errors.TransferFailed`."""

    @abstractmethod
    def pull(self, source: str, target: Path) -> None:
        """Copy a file from the device, out of a workspace; a model's process may have written it.

        No link is followed there: raises :class:`~dynolab.errors.Forbidden` for one, and for a path outside the workspaces,
        :class:`~dynolab.errors.TransferFailed` when it cannot be copied.
        """

    @abstractmethod
    def run(self, arguments: Sequence[str], on_line: Callable[[str], None]) -> tuple[int, str]:
        """Run a command to its end; each line of its output goes to ``on_line``. Exit status and standard error.

        Nothing of the command is left running when this returns or raises.
        """

    def close(self) -> None:
        """Let the device go."""
        return None
