"""What a connection to a device is: sessions in which an executor works there, and files that go there and back."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dynolab import plugins
from dynolab.errors import Bug, SpecInvalid

PACKAGE = "dynolab.connections"
HERE = "local"
"""The connection to the machine that this runs on."""
USUAL_RUNTIMES = ("onnxruntime", "litert")
"""Brought to a device unless others are named: they take 150 MB there, and run most models of phones and boards."""
EXECUTOR = "dynolab.measure.executor"
"""The module that a session runs on the device, with the workspace as its argument."""

WAIT_S = 15.0
"""For a device that somebody has, unless one says how long: health probes end within it."""

Tell = Callable[[str], None]
"""Is told, in words, what is done on the way: what is pushed, that a lost link is taken up again."""


@dataclass(frozen=True, slots=True)
class ModelFiles:
    """A model's files on this side: paths below ``folder``, and the digest of them all."""

    folder: Path
    paths: tuple[str, ...]
    sha256: str


class Session(ABC):
    """A workspace on the device with an executor in it, for one campaign. Paths on the device are plain strings."""

    workspace: str
    """A fresh folder on the device; it is gone, with all in it, when the session ends, however it ends."""

    @abstractmethod
    def send(self, line: str) -> None:
        """Give the executor one line. Raises :class:`~dynolab.errors.DeviceLost`."""

    @abstractmethod
    def receive(self, within_s: float) -> str | None:
        """The executor's next line, without its end; None: it ended.

        A lost link is taken up again in here, as far as the connection can. Raises :class:`~dynolab.errors.DeviceLost`, and
        :class:`TimeoutError` when no line came in time over a link that is there.
        """

    @abstractmethod
    def ended(self) -> tuple[int, str]:
        """How the executor ended, once :meth:`receive` gave None: exit status, and the end of what it wrote to standard error."""

    @abstractmethod
    def push(self, source: Path, target: str) -> None:
        """Copy a file to the device. Raises :class:`~dynolab.errors.TransferFailed`."""

    @abstractmethod
    def push_model(self, model: ModelFiles, place: str) -> tuple[str, ...]:
        """Where a model's files lie on the device, in their order: brought to ``place`` below the workspace, or kept from before.

        Raises :class:`~dynolab.errors.TransferFailed`.
        """

    @abstractmethod
    def pull(self, source: str, target: Path) -> None:
        """Copy a file from the device, out of the workspace; a model's process may have written it.

        No link is followed there: raises :class:`~dynolab.errors.Forbidden` for one, and for a path outside the workspace,
        :class:`~dynolab.errors.TransferFailed` when it cannot be copied.
        """


class Connection(ABC):
    """One device, reached."""

    address: str
    """What leads to it, as people write it."""
    is_here: ClassVar[bool] = False
    """Whether it is the machine that this runs on: what is installed here is installed there."""

    @abstractmethod
    def session(self, runtimes: Sequence[str], tell: Tell, wait_s: float = WAIT_S) -> AbstractContextManager[Session]:
        """A session whose executor can run models with these runtimes; what they need is brought first.

        Where something has to be brought to a device on which somebody measures, that is waited for, at most for ``wait_s``.
        At its end nothing of it is left running on the device. Raises :class:`~dynolab.errors.DeviceLost`,
        :class:`~dynolab.errors.DeviceBusy`,
        :class:`~dynolab.errors.TransferFailed`, and :class:`~dynolab.errors.PluginMissing` where the device cannot have it.
        """

    def close(self) -> None:
        """Let the device go."""
        return None


class ConnectionKind(ABC):
    """One way of reaching devices: the plug-in of a file in this folder, named as the file and as its addresses begin."""

    name: ClassVar[str]
    example: ClassVar[str]
    """An address."""

    @abstractmethod
    def unavailable(self) -> str | None:
        """Why it cannot be used here, with the way out, or None. Imports no vendor's library."""

    @abstractmethod
    def open(self, address: str) -> Connection:
        """The device at an address, reached.

        Raises :class:`~dynolab.errors.SpecInvalid` for an address that is none, :class:`~dynolab.errors.PluginMissing`,
        :class:`~dynolab.errors.DeviceLost` and :class:`~dynolab.errors.Forbidden` where it does not let us in.
        """


def kind_named(name: str) -> ConnectionKind:
    """The plug-in of a name."""
    found = plugins.load(PACKAGE, name)
    if not isinstance(found, ConnectionKind):
        raise Bug(f"{PACKAGE}.{name} holds no ConnectionKind, but {type(found).__name__}")
    return found


def is_address(text: str) -> bool:
    """Whether a device's name is an address instead."""
    return "://" in text


def connect(address: str) -> Connection:
    """The device at an address such as ``ssh://pi@board``. Raises what :meth:`ConnectionKind.open` does."""
    return check_address(address).open(address)


def check_address(address: str) -> ConnectionKind:
    """The kind that an address is of. Raises :class:`SpecInvalid` for what is of none."""
    scheme, _, _ = address.partition("://")
    known = [kind_named(name) for name in sorted(plugins.names(PACKAGE)) if name != HERE]
    for kind in known:
        if kind.name == scheme and is_address(address):
            return kind
    examples = ", ".join(kind.example for kind in known)
    raise SpecInvalid(f"{address[:200]!r} is no device's address", hint=f"such as {examples}")


def this_machine() -> Connection:
    """The connection to the machine that this runs on."""
    return kind_named(HERE).open("")
