"""The client's side of a device behind sshd: settings, keys and known hosts in a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import platformdirs
import pytest


class SshClient:
    """What a device of the tests gives who connects to it."""

    client: Path
    """The folder."""
    user: str
    port: int
    key: Path
    known_hosts: Path

    @property
    def address(self) -> str:
        """Where the device is, as the command line takes it."""
        return f"ssh://{self.user}@127.0.0.1:{self.port}"

    def write_client_settings(self, **more: str) -> Path:
        """An ssh_config for the client that finds the device as ``board``, with what else is given as its settings."""
        settings = {
            "HostName": "127.0.0.1",
            "Port": str(self.port),
            "User": self.user,
            "IdentityFile": str(self.key),
            "IdentitiesOnly": "yes",
            "UserKnownHostsFile": str(self.known_hosts),
            "StrictHostKeyChecking": "yes",
            **more,
        }
        path = self.client / "config"
        lines = ["Host board 127.0.0.1", *(f"    {name} {value}" for name, value in settings.items())]
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return path

    def be_known_to(self, other: SshClient, alias: str) -> str:
        """Have who is at home with the other device reach this one, too: its address there."""
        path = other.client / ".ssh" / "config"
        own = self.write_client_settings().read_text(encoding="utf-8").replace("Host board 127.0.0.1", f"Host {alias}")
        path.write_text(path.read_text(encoding="utf-8") + own, encoding="utf-8")
        return f"ssh://{alias}"

    @contextmanager
    def as_home(self, **more: str) -> Iterator[None]:
        """Connections that this process makes use the client's settings, as those of its home; with what else is given."""
        (self.client / ".ssh").mkdir(exist_ok=True)
        self.write_client_settings(**more).rename(self.client / ".ssh" / "config")
        cache = platformdirs.user_cache_path()
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("XDG_CACHE_HOME", str(cache))  # what was fetched for devices is not fetched again
            patch.setenv("HOME", str(self.client))
            yield
