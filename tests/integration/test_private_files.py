"""Nothing that a hub, an agent or a client keeps is open to other users of the machine, whatever umask they were started with."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab.agent.http import HubDoor
from dynolab.client import settings as client_settings
from dynolab.client.settings import ClientConfig
from dynolab.connections.local import own_folder
from dynolab.hub.store import data_folder
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome
from dynolab.testing.commands import command
from dynolab.testing.databases import Databases
from dynolab.testing.running_hub import RunningHub, running_hub

DEVICE = DeviceOffer(id="board", name="board", os="1")


@pytest.fixture(autouse=True)
def usual_umask() -> Iterator[None]:
    """As most systems set it: others may read what nobody closes."""
    before = os.umask(0o022)
    yield
    os.umask(before)


def open_to_others(folder: Path) -> list[str]:
    """The folder and all below that somebody else may read, write or pass."""
    found = [path for path in (folder, *folder.rglob("*")) if not path.is_symlink() and path.lstat().st_mode & 0o077]
    return [f"{path.lstat().st_mode & 0o777:o} {path}" for path in found]


def ask(hub: RunningHub, path: str, document: object) -> Any:
    headers = {"Authorization": f"Bearer {hub.token}"}
    answer = httpx.post(f"{hub.url}/api/hub/v1{path}", headers=headers, json=document, timeout=30)
    assert answer.is_success, answer.text
    return answer.json()


def upload(hub: RunningHub, content: bytes) -> str:
    """A model with these bytes; empty: one whose upload never ends."""
    model = str(ask(hub, "/models", {"name": "net", "kind": "onnx"})["id"])
    begun = ask(hub, f"/models/{model}/uploads", {"size": len(content) or 10})
    if content:
        etags = [httpx.put(url, content=content, timeout=30).headers["etag"] for url in begun["urls"]]
        ask(hub, f"/models/{model}/uploads/{begun['upload_id']}/complete", {"etags": etags})
    return model


def use(hub: RunningHub, folder: Path) -> None:
    """A model, an upload that never ends; a job with a result and a log."""
    door = HubDoor(hub.url, hub.agent_token)
    model, _ = upload(hub, os.urandom(3 << 20)), upload(hub, b"")
    door.claim(ClaimRequest(AGENT_PROTOCOL, DEVICE, 0.0))
    ask(hub, "/jobs", {"model_id": model, "device": {"name": "board"}})
    claimed = door.claim(ClaimRequest(AGENT_PROTOCOL, DEVICE, 10.0))
    assert claimed is not None
    for verb in ("result", "log"):
        (folder / verb).write_bytes(b"{}")
        door.store(claimed.attempt, verb, folder / verb)
    door.finish(claimed.attempt, Outcome(summary={}))
    door.close()


def dynolab(*arguments: object) -> None:
    done = command(*arguments)
    assert done.returncode == 0, done.stderr


def test_a_hubs_folder_is_its_owners_and_one_that_was_open_is_closed_at_the_next_start(tmp_path: Path) -> None:
    data = tmp_path / "hub"
    with running_hub(data, "--no-agent") as hub:
        use(hub, tmp_path)
        assert open_to_others(data) == []
        dynolab("hub", "backup", tmp_path / "hub.tar", "--data", data)
        dynolab("hub", "account", "--data", data, "add", "ana@example.org")
    assert open_to_others(data) == []
    assert open_to_others(tmp_path / "hub.tar") == []
    for path in (data, *data.rglob("*")):  # as earlier versions left it
        if "postgres" not in path.relative_to(data).parts:  # PostgreSQL itself refuses such a folder
            path.chmod(path.stat().st_mode | 0o055)
    with running_hub(data, "--no-agent"):
        assert open_to_others(data) == []
    dynolab("hub", "restore", tmp_path / "hub.tar", "--data", tmp_path / "again")
    assert open_to_others(tmp_path / "again") == []


def test_blobs_in_a_folder_that_replicas_share_are_private(databases: Databases, tmp_path: Path) -> None:
    place = tmp_path / "shared" / "blobs"
    (place / "old").mkdir(parents=True)
    (place / "old" / "model").write_bytes(b"bytes")
    settings = {"DYNOLAB_DATABASE_URL": databases.new().dsn, "DYNOLAB_BLOBS_URL": place.as_uri()}
    with running_hub(tmp_path / "hub", "--no-agent", environment=settings) as replica:
        assert replica.url
        assert open_to_others(place) == []


@pytest.mark.parametrize("what", ["everybody's", "holds other things", "home"])
def test_a_folder_that_was_named_by_mistake_is_not_closed(
    what: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = tmp_path / "named"
    named.mkdir()
    (named / ("blobs" if what == "everybody's" else "letter.txt")).touch()
    named.chmod(0o1777 if what == "everybody's" else 0o755)
    if what == "home":
        (named / "blobs").touch()
        monkeypatch.setenv("HOME", str(named))
    before = named.stat().st_mode
    told = data_folder.closed(named)
    assert told is not None
    assert str(named) in told
    assert named.stat().st_mode == before


def test_only_a_closed_folder_of_ones_own_is_opened_a_little_for_the_database(tmp_path: Path) -> None:
    from dynolab.hub.store import _postgres_folder as folders

    for mode, opened in ((0o700, True), (0o755, False), (0o710, False)):
        tmp_path.chmod(mode)
        assert folders._let_pass(tmp_path, os.getegid()) is opened
        assert tmp_path.stat().st_mode & 0o777 == (0o710 if opened else mode)


def test_workspaces_and_the_client_s_settings_are_private(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_WORKSPACE", str(tmp_path / "work"))
    with own_folder("job-") as folder:
        (folder / "model.onnx").write_bytes(b"bytes")
        assert [one for one in open_to_others(tmp_path / "work") if not one.endswith("model.onnx")] == []
    monkeypatch.setenv("DYNOLAB_CLIENT_INI", str(tmp_path / "settings" / "client.ini"))
    (tmp_path / "settings").mkdir()
    (tmp_path / "settings" / "client.ini.partial").touch(0o644)  # left by one that was cut short
    assert open_to_others(client_settings.save(ClientConfig("secret"))) == []


@pytest.mark.parametrize(
    "write",
    [
        "from dynolab.agent.offer import _identity; _identity()",
        "from dynolab.jobs import _records; _records.remember('board', {'x': 1.0})",
    ],
)
def test_what_a_device_remembers_is_private(write: str, tmp_path: Path) -> None:
    environment = {**os.environ, "DYNOLAB_STATE": str(tmp_path / "state")}
    subprocess.run([sys.executable, "-c", write], env=environment, check=True)
    assert list((tmp_path / "state").rglob("*"))
    assert open_to_others(tmp_path / "state") == []
