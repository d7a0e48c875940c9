"""Devices behind an OpenSSH server: boards, PCs and servers with a Python, and nothing of dynolab on them before."""

from __future__ import annotations

import importlib.util
from typing import ClassVar
from urllib.parse import urlsplit

from dynolab.connections._sessions import RemoteConnection, named_python, named_root
from dynolab.connections.base import Connection, ConnectionKind
from dynolab.errors import PluginMissing, SpecInvalid
from dynolab.runtimes.base import install_command


class SshKind(ConnectionKind):
    """``ssh://[user@]host[:port]``. Keys, agent, jump hosts and aliases are those of the user's ssh configuration."""

    name: ClassVar[str] = "ssh"
    example: ClassVar[str] = "ssh://pi@board"

    def unavailable(self) -> str | None:
        if importlib.util.find_spec("asyncssh") is None:
            return f"asyncssh is not installed: {install_command('ssh')}"
        return None

    def open(self, address: str) -> Connection:
        host, user, port = _parts(address)
        if (reason := self.unavailable()) is not None:
            raise PluginMissing(f"{address} cannot be reached: {reason}")
        from dynolab.connections._ssh_remote import SshRemote

        return RemoteConnection(
            SshRemote(address, host=host, user=user, port=port, root=named_root(), python=named_python())
        )


def _parts(address: str) -> tuple[str, str | None, int | None]:
    """Host, user and port of an address. Raises :class:`SpecInvalid`."""
    try:
        parts = urlsplit(address)
        host, user, port, password = parts.hostname, parts.username, parts.port, parts.password
    except ValueError as error:
        raise SpecInvalid(f"{address[:200]!r} is no ssh address: {error}", hint="such as ssh://pi@board:22") from error
    if not host or parts.path.strip("/") or parts.query or parts.fragment:
        raise SpecInvalid(f"{address[:200]!r} is no ssh address", hint="such as ssh://pi@board:22")
    if password is not None:
        raise SpecInvalid(
            f"a password has no place in an address (ssh://{user}:...@{host})", hint="use a key: ssh-copy-id"
        )
    return host, user, port


plugin = SshKind()
