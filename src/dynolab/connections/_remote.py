"""What a device on the other end of a line must be able to do: everything else is built on these five (see ``_sessions``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from dynolab.connections.base import Tell


@dataclass(frozen=True, slots=True)
class Interpreter:
    """How Python is started on a device: the command before its arguments, and variables that it needs."""

    command: tuple[str, ...]
    environment: tuple[tuple[str, str], ...] = ()


class Stream(Protocol):
    """A command that runs on a device, its lines both ways."""

    def send(self, line: str) -> None:
        """Write a line to its standard input. Raises :class:`~dynolab.errors.DeviceLost`."""

    def receive(self) -> str | None:
        """The next line of its standard output; None: it ended. Raises :class:`~dynolab.errors.DeviceLost` when the link broke."""

    def ended(self) -> tuple[int, str]:
        """Exit status, and the end of standard error, after :meth:`receive` gave None."""

    def close(self) -> None:
        """Let it go: its standard input is closed. Never raises."""


class Remote(ABC):
    """A device that is reached over a line. Methods may be called again after :class:`~dynolab.errors.DeviceLost`: they connect anew."""

    address: str
    root: str
    """The folder of ours on the device, as a shell there writes it: it may hold a variable."""

    @abstractmethod
    def ask(self, script: str, *, timeout_s: float = 60.0) -> str:
        """What a POSIX shell script prints there, without the last line's end.

        Raises :class:`~dynolab.errors.TransferFailed`, with what it wrote to standard error, when it fails, and
        :class:`~dynolab.errors.DeviceLost`.
        """

    @abstractmethod
    def push(self, source: Path, target: str, *, resume: bool = False) -> None:
        """Copy a file there, making its folder; ``resume``: what is there of it already is kept, and the rest is added.

        Raises :class:`~dynolab.errors.TransferFailed`, with the bytes that it needs and that are free where there are too few.
        """

    @abstractmethod
    def pull(self, source: str, target: Path, *, most_bytes: int) -> None:
        """Copy a regular file from there; no link is followed.

        Raises :class:`~dynolab.errors.Forbidden`, :class:`~dynolab.errors.TooLarge`, :class:`~dynolab.errors.TransferFailed`.
        """

    @abstractmethod
    def start(self, command: Sequence[str]) -> Stream:
        """Run a command there, with lines both ways. Raises :class:`~dynolab.errors.DeviceLost`."""

    @abstractmethod
    def interpreter(self, tell: Tell) -> Interpreter:
        """A Python there that fits (3.11 or newer, 64 bits); where the device has none, what brings one is done here.

        Raises :class:`~dynolab.errors.PluginMissing`.
        """

    def close(self) -> None:
        """Let the device go."""
        return None
