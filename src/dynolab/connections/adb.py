"""Devices behind adb: phones and boards with Android, with no root, no app and no Python on them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, ClassVar

from dynolab.connections import _adb_server as server
from dynolab.connections._sessions import session
from dynolab.connections.base import Connection, ConnectionKind, Session, Tell
from dynolab.errors import SpecInvalid

if TYPE_CHECKING:
    from dynolab.connections._adb_remote import AdbRemote

SCHEME = "adb://"
ROOT = "DYNOLAB_DEVICE_ROOT"
"""The folder on devices where what is brought is kept; by default in /data/local/tmp."""


class Adb(Connection):
    """One device, by way of an adb server."""

    name: ClassVar[str] = "adb"

    def __init__(self, remote: AdbRemote) -> None:
        self.address, self._remote = remote.address, remote

    @contextmanager
    def session(self, runtimes: Sequence[str], tell: Tell) -> Iterator[Session]:
        with session(self._remote, runtimes, tell) as made:
            yield made

    def close(self) -> None:
        self._remote.close()


class AdbKind(ConnectionKind):
    """Addresses are those that ``adb devices`` lists, after ``adb://``: a serial number, or host and port."""

    name: ClassVar[str] = "adb"
    example: ClassVar[str] = "adb://R5CX0000000"

    def unavailable(self) -> str | None:
        """A server that runs somewhere is enough: it need not be this machine's."""
        if server.program() is None and not server.listens():
            return f"adb is not installed: {server.INSTALL}"
        return None

    def open(self, address: str) -> Connection:
        serial = address.removeprefix(SCHEME).rstrip("/")
        if not serial or any(character in serial for character in "/?#@ \t\n"):
            raise SpecInvalid(
                f"{address[:200]!r} is no adb address",
                hint=f"such as {self.example}, with the serial number that `adb devices` lists",
            )
        from dynolab.connections._adb_remote import AdbRemote

        return Adb(AdbRemote(address, serial=serial, root=os.environ.get(ROOT)))


plugin = AdbKind()
