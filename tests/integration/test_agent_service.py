"""The agent's unit under a real ``systemd --user``: it serves, comes back when it is killed, and is left alone when the hub refuses it. The hub's, too."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab.testing.database_servers import free_port
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub
from dynolab.testing.waiting import until

from ..devices.fixtures import present
from ..devices.systemd import UserSystemd, user_systemd

UNIT = "dynolab-agent.service"


@pytest.fixture(scope="module")
def systemd() -> Iterator[UserSystemd]:
    with present("systemd", user_systemd()) as found:
        yield found


def wait_for(what: str, holds: Callable[[], object], systemd: UserSystemd) -> None:
    """As ``until`` does; when it does not come, what systemd says is told."""
    try:
        until(holds, what, within_s=120, every_s=0.2)
    except AssertionError as error:
        raise AssertionError(f"{error}\n{systemd.systemctl('status', UNIT)}\n{systemd.log[-3000:]}") from None


def boards(hub: RunningHub, name: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {hub.token}"}
    found = httpx.get(f"{hub.url}/api/hub/v1/boards", params={"name": name}, headers=headers, timeout=30)
    return list(found.json()["boards"])


def install(systemd: UserSystemd, *options: str) -> None:
    """The unit as the command prints it, with a shorter pause before a restart."""
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "unit", "--", *options]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert "RestartSec=10" in text
    (systemd.units / UNIT).write_text(text.replace("RestartSec=10", "RestartSec=1"))
    systemd.systemctl("daemon-reload")


def main_pid(systemd: UserSystemd) -> int:
    """The agent's number as this machine counts: the service's own processes are in a namespace."""
    for entry in Path("/proc").iterdir():
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
            if b"agent" in words and b"--wait-for-hub" in words and b"as a service" in words:
                return int(entry.name)
        except (OSError, ValueError):
            continue
    return 0


def test_the_unit_serves_comes_back_and_ends(hub: RunningHub, systemd: UserSystemd, tmp_path: Path) -> None:
    token = str(hub.data / "agent.token")
    install(systemd, "--hub", hub.url, "--token-file", token, "--name", "as a service")
    assert systemd.systemctl("start", UNIT) == ""
    wait_for("device", lambda: boards(hub, "as a service"), systemd)
    assert systemd.value(UNIT, "ActiveState") == "active"
    first = main_pid(systemd)
    assert first
    os.kill(first, signal.SIGKILL)
    wait_for("restart", lambda: systemd.value(UNIT, "NRestarts") == "1", systemd)
    wait_for("another agent", lambda: main_pid(systemd) not in (0, first), systemd)
    systemd.systemctl("stop", UNIT)
    assert systemd.value(UNIT, "ActiveState") == "inactive"
    assert main_pid(systemd) == 0
    assert systemd.value(UNIT, "Result") == "success"


def test_a_hub_that_refuses_it_is_not_asked_again_and_again(
    hub: RunningHub, systemd: UserSystemd, tmp_path: Path
) -> None:
    (tmp_path / "wrong").write_text("dla_nobodysownatall")
    install(systemd, "--hub", hub.url, "--token-file", str(tmp_path / "wrong"), "--name", "as a service")
    systemd.systemctl("start", UNIT)
    wait_for("end", lambda: systemd.value(UNIT, "ActiveState") == "failed", systemd)
    assert systemd.value(UNIT, "ExecMainStatus") == "2"
    assert systemd.value(UNIT, "NRestarts") == "0"
    systemd.systemctl("reset-failed", UNIT)


HUB_UNIT = "dynolab-hub.service"
FOR_ROOT = ("User=", "Ambient", "Capability", "Protect", "Private", "Restrict", "Lock", "StateDirectory")
"""What a person's own systemd may not do, or has no rights for."""


def install_hub(systemd: UserSystemd, folder: Path, **settings: object) -> None:
    """deploy/'s unit as a user's, with these settings in its file."""
    file = folder / "hub.toml"
    written = {"data": str(folder / "hub"), "port": 0, "agent": False, **settings}
    file.write_text("".join(f"{name} = {json.dumps(value)}\n" for name, value in written.items()), encoding="utf-8")
    unit = Path(__file__).parents[2] / "deploy" / "systemd" / HUB_UNIT
    text = "\n".join(line for line in unit.read_text(encoding="utf-8").splitlines() if not line.startswith(FOR_ROOT))
    start = f"{sys.executable} -m dynolab.cli.main hub --config {file}"
    text = text.replace("/opt/dynolab/bin/dynolab hub --config /etc/dynolab/hub.toml", start)
    assert start in text
    text = text.replace("[Service]\n", f"[Service]\nStandardError=append:{folder / 'hub.log'}\n")  # there is no journal
    (systemd.units / HUB_UNIT).write_text(text)
    systemd.systemctl("daemon-reload")


@pytest.mark.slow
def test_the_hubs_unit_waits_for_its_database_and_is_left_alone_when_that_refuses(
    systemd: UserSystemd, tmp_path: Path, postgres: OwnDatabase
) -> None:
    install_hub(systemd, tmp_path, database_url=f"postgresql://dynolab:sesame@127.0.0.1:{free_port()}/dynolab")
    assert systemd.systemctl("start", HUB_UNIT) == ""
    told = tmp_path / "hub.log"
    wait_for("word of what it waits for", lambda: told.exists() and "waits to start" in told.read_text(), systemd)
    assert systemd.value(HUB_UNIT, "ActiveState") == "active"
    systemd.systemctl("stop", HUB_UNIT)
    assert systemd.value(HUB_UNIT, "Result") == "success"
    install_hub(systemd, tmp_path, database_url=re.sub(r"(@[^/]*)/[^?]*", r"\1/none", postgres.dsn))
    systemd.systemctl("start", HUB_UNIT)
    wait_for("end", lambda: systemd.value(HUB_UNIT, "ActiveState") == "failed", systemd)
    assert systemd.value(HUB_UNIT, "ExecMainStatus") == "2"
    assert systemd.value(HUB_UNIT, "NRestarts") == "0"
    systemd.systemctl("reset-failed", HUB_UNIT)
