"""Devices behind adb: phones and boards with Android, with no root, no app and no Python on them."""

from __future__ import annotations

from typing import ClassVar

from dynolab.connections import _adb_server as server
from dynolab.connections._sessions import RemoteConnection, named_root
from dynolab.connections.base import Connection, ConnectionKind
from dynolab.errors import SpecInvalid

SCHEME = "adb://"


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

        return RemoteConnection(AdbRemote(address, serial=serial, root=named_root()))


plugin = AdbKind()
