"""What a device on the other end of a line must be able to do: all else is built on it (see ``_sessions``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from dynolab.connections.base import Tell

SILENT_S = 20.0
"""A line on which nothing came for so long is broken: the keeper on the device says something every five seconds."""


class Stream(Protocol):
    """A command that runs on a device, its lines both ways."""

    def send(self, line: str) -> None:
        """Write a line to its standard input. Raises :class:`~dynolab.errors.DeviceLost`."""

    def receive(self) -> str | None:
        """The next line of its standard output; None: it ended.

        Raises :class:`~dynolab.errors.DeviceLost` when the line broke, or nothing came for :data:`SILENT_S`.
        """

    def close(self) -> None:
        """Let it go: its standard input is closed. Never raises."""


class Remote(ABC):
    """A device that is reached over a line. A method that is called after :class:`~dynolab.errors.DeviceLost` connects anew."""

    address: str
    root: str
    """The folder of ours on the device, absolute."""
    pythons: tuple[str, ...] = ()
    """Commands that may be a Python of the device's own, the one to prefer first."""

    @abstractmethod
    def ask(self, script: str, *, timeout_s: float = 60.0) -> str:
        """What a POSIX shell script prints there, without the last line's end.

        What a shell's start-up files print is none of it. Raises :class:`~dynolab.errors.TransferFailed`, with what it wrote to
        standard error, when it fails, and :class:`~dynolab.errors.DeviceLost`.
        """

    @abstractmethod
    def push(self, source: Path, target: str) -> None:
        """Copy a file there, making its folder; what is there of it already, from a line that broke, is kept and added to.

        Raises :class:`~dynolab.errors.TransferFailed`, with the bytes that it needs and that are free where there are too few,
        and :class:`~dynolab.errors.DeviceLost`.
        """

    @abstractmethod
    def pull(self, source: str, target: Path, *, most_bytes: int) -> None:
        """Copy a regular file from there; no link is followed.

        Raises :class:`~dynolab.errors.Forbidden`, :class:`~dynolab.errors.TooLarge`, :class:`~dynolab.errors.TransferFailed` and
        :class:`~dynolab.errors.DeviceLost`.
        """

    @abstractmethod
    def start(self, command: Sequence[str]) -> Stream:
        """Run a command there, with lines both ways. Raises :class:`~dynolab.errors.DeviceLost`."""

    @abstractmethod
    def interpreter(self, tell: Tell) -> str:
        """The path of a Python there (3.11 or newer); where the device has none, what brings one is done here.

        ``sys.executable`` is that path, and ``-m venv --without-pip`` works. Raises :class:`~dynolab.errors.PluginMissing`.
        """

    def close(self) -> None:
        """Let the device go."""
        return None
