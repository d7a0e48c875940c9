"""A hub's backup while it runs, and the hub that is made of it: the same to whoever has its tokens."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

import sqlalchemy
from alembic import command

from dynolab.agent.http import HubDoor
from dynolab.hub.store._archive import HEADER, MANIFEST
from dynolab.hub.store.database import Database, configuration, newest
from dynolab.hub.store.postgres import Postgres, running
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome
from dynolab.testing import object_stores
from dynolab.testing.commands import command as dynolab
from dynolab.testing.running_hub import RunningHub, running_hub

MODEL, DATA, PROFILE, LOG = os.urandom(6 << 20), b"tensors, or so it says", b'{"stages": [1, 2]}', b"line\n" * 1000
DEVICE = DeviceOffer(id="board", name="board", os="1")


@dataclass
class User:
    """Who has a token of the hub's, whichever hub that is."""

    url: str
    token: str

    def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.token}"}
        answer = httpx.request(method, f"{self.url}/api/hub/v1{path}", headers=headers, timeout=60, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        is_json = answer.content and answer.headers.get("content-type") == "application/json"
        return answer.json() if is_json else answer.content

    def upload(self, kind: str, content: bytes) -> str:
        made = {"models": {"name": "net", "kind": "onnx"}, "datasets": {"name": "data"}}[kind]
        target = self.ask("POST", f"/{kind}", 201, json=made)["id"]
        begun = self.ask("POST", f"/{kind}/{target}/uploads", 201, json={"size": len(content)})
        etags = [httpx.put(url, content=content, timeout=30).headers["etag"] for url in begun["urls"]]
        self.ask("POST", f"/{kind}/{target}/uploads/{begun['upload_id']}/complete", json={"etags": etags})
        return str(target)

    def bytes_of(self, kind: str, target: str) -> bytes:
        return httpx.get(self.ask("GET", f"/{kind}/{target}/download")["url"], timeout=30).content


@dataclass
class Kept:
    """What a hub keeps, as its user asks for it."""

    model: str
    data: str
    done: str
    waiting: str

    def seen_by(self, user: User) -> dict[str, Any]:
        """All that must be the same in both hubs."""
        job = f"/jobs/{self.done}"
        paths = {"job": job, "profile": f"{job}/profile", "log": f"{job}/log"}
        paths |= {"me": "/me", "tokens": "/tokens", "usage": "/account/usage"}
        found = {what: user.ask("GET", path) for what, path in paths.items()}
        files = {"model": user.bytes_of("models", self.model), "data": user.bytes_of("datasets", self.data)}
        return found | {what: digest(content) for what, content in files.items()}


def digest(content: bytes) -> str:
    """Of megabytes, so that a test that fails does not print them."""
    return hashlib.sha256(content).hexdigest()


def filled(hub: RunningHub, folder: Path) -> tuple[User, Kept]:
    """A model, a dataset, a job that is done and one that waits; the agent is this test."""
    user, door = User(hub.url, hub.token), HubDoor(hub.url, hub.agent_token)
    model, data = user.upload("models", MODEL), user.upload("datasets", DATA)
    door.claim(ClaimRequest(AGENT_PROTOCOL, DEVICE, 0.0))
    wanted = {"model_id": model, "device": {"name": "board"}}
    done = user.ask("POST", "/jobs", 201, json=wanted)["id"]
    claimed = door.claim(ClaimRequest(AGENT_PROTOCOL, DEVICE, 10.0))
    assert claimed is not None
    for verb, content in (("result", PROFILE), ("log", LOG)):
        (folder / verb).write_bytes(content)
        door.store(claimed.attempt, verb, folder / verb)
    door.finish(claimed.attempt, Outcome(summary={"estimated_inference_time_ns": 7}))
    waiting = user.ask("POST", "/jobs", 201, json=wanted)["id"]
    door.close()
    return user, Kept(model, data, done, waiting)


def goes_on(hub: RunningHub, kept: Kept) -> None:
    """The job that waited is handed out, and new ones get ids of their own."""
    door = HubDoor(hub.url, hub.agent_token)
    claimed = door.claim(ClaimRequest(AGENT_PROTOCOL, DEVICE, 10.0))
    assert claimed is not None
    assert claimed.job == kept.waiting
    door.finish(claimed.attempt, Outcome(summary={"estimated_inference_time_ns": 8}))
    door.close()
    user = User(hub.url, hub.token)
    assert user.ask("GET", f"/jobs/{kept.waiting}")["state"] == "done"
    user.ask("POST", "/tokens", 201, json={"kind": "user", "label": "new"})
    added = dynolab("hub", "account", "--data", hub.data, "add", "new@example.org")
    assert added.returncode == 0, added.stderr
    new = User(hub.url, added.stdout.strip())
    assert new.ask("GET", "/me")["id"] != user.ask("GET", "/me")["id"]
    for _ in range(3):
        user.ask("POST", "/jobs", 201, json={"model_id": kept.model, "device": {"name": "board"}})
    user.upload("models", b"another")


@dataclass
class Backed:
    """A hub that runs, its backup, and what it kept when that was made."""

    hub: RunningHub
    file: Path
    kept: Kept
    user: User
    seen: dict[str, Any]


@pytest.fixture(scope="module")
def backed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Backed]:
    folder = tmp_path_factory.mktemp("first")
    with running_hub(folder / "hub", "--no-agent") as hub:
        user, kept = filled(hub, folder)
        seen, file = kept.seen_by(user), folder / "hub.tar.gz"
        made = dynolab("hub", "backup", file, "--data", hub.data)
        assert made.returncode == 0, made.stderr
        assert "2 jobs, 1 model, 1 dataset" in made.stderr.replace("models", "model").replace("datasets", "dataset")
        yield Backed(hub, file, kept, user, seen)


@pytest.mark.slow
def test_a_hub_that_has_lost_a_file_is_backed_up_without_it_when_asked(tmp_path: Path) -> None:
    with running_hub(tmp_path / "hub", "--no-agent") as hub:
        _, kept = filled(hub, tmp_path)
        blobs = hub.data / "blobs"
        lost = max((path for path in blobs.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
        lost.unlink()
        refused = dynolab("hub", "backup", tmp_path / "no.tar", "--data", hub.data)
        assert refused.returncode == 2
        assert f"the object {lost.relative_to(blobs)}" in refused.stderr
        assert "--skip-missing" in refused.stderr
        assert not (tmp_path / "no.tar").exists()
        made = dynolab("hub", "backup", tmp_path / "hub.tar", "--data", hub.data, "--skip-missing")
    told = f"missing: the model {kept.model} (the object {lost.relative_to(blobs)} was lost"
    assert made.returncode == 0, made.stderr
    assert told in made.stderr
    restored = dynolab("hub", "restore", tmp_path / "hub.tar", "--data", tmp_path / "again")
    assert restored.returncode == 0, restored.stderr
    assert told in restored.stderr
    with running_hub(tmp_path / "again", "--no-agent") as hub:
        user = User(hub.url, hub.token)
        assert user.ask("GET", f"/jobs/{kept.done}/profile") == {"stages": [1, 2]}
        assert user.bytes_of("datasets", kept.data) == DATA
        assert b"this file is gone" in user.bytes_of("models", kept.model)


def test_a_hub_made_of_a_backup_is_the_same_to_its_users(backed: Backed, tmp_path: Path) -> None:
    before = backed.seen
    assert before["profile"] == {"stages": [1, 2]}
    assert before["usage"]["bytes"] == len(MODEL + DATA + PROFILE + LOG)
    assert (before["model"], before["data"]) == (digest(MODEL), digest(DATA))
    made = dynolab("hub", "restore", backed.file, "--data", tmp_path / "hub")
    assert made.returncode == 0, made.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["hub"]
    with running_hub(tmp_path / "hub", "--no-agent") as hub:
        assert (hub.token, hub.agent_token) == (backed.hub.token, backed.hub.agent_token)
        assert not [line for line in hub.lines if "dynolab login" in line], "it has its tokens already"
        user = User(hub.url, backed.hub.token)
        assert backed.kept.seen_by(user) == before
        [row] = user.ask("GET", "/audit?verb=hub.restore")["events"]
        assert (row["who"], row["door"], row["thing"]) == ("operator", "command", str(backed.file))
        events = backed.user.ask("GET", "/audit?verb=hub.backup")["events"]
        [row] = [one for one in events if one["thing"] == str(backed.file)]
        assert (row["who"], row["outcome"], row["thing"]) == ("operator", "ok", str(backed.file))
        checked = json.loads(dynolab("hub", "check", "--data", hub.data, "--json").stdout)["checks"]
        counts = {one["name"]: one["state"] for one in checked if one["name"].endswith("-bytes-add-up")}
        assert counts == {"stored-bytes-add-up": "holds", "total-bytes-add-up": "holds"}, (
            "triggers count what comes back"
        )
        goes_on(hub, backed.kept)


def test_a_backup_is_its_owners_and_is_whole_or_not_there(backed: Backed, tmp_path: Path) -> None:
    assert backed.file.stat().st_mode & 0o777 == 0o600
    again = dynolab("hub", "backup", backed.file, "--data", backed.hub.data)
    assert (again.returncode, "is there already" in again.stderr) == (2, True)
    nowhere = dynolab("hub", "backup", tmp_path / "no" / "hub.tar", "--data", backed.hub.data)
    assert nowhere.returncode == 2, nowhere.stderr
    nothing = dynolab("hub", "backup", tmp_path / "hub.tar", "--data", tmp_path / "never-run")
    assert (nothing.returncode, "no hub's database" in nothing.stderr) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_what_is_deleted_while_a_backup_is_made_is_in_it(backed: Backed, tmp_path: Path) -> None:
    """Models come and go all the while; each backup has the bytes of every model that it knows."""
    stop = threading.Event()

    def churn() -> None:
        while not stop.is_set():
            backed.user.ask("DELETE", f"/models/{backed.user.upload('models', os.urandom(1000))}", 204)

    threads = [threading.Thread(target=churn) for _ in range(3)]
    for thread in threads:
        thread.start()
    try:
        made = [dynolab("hub", "backup", tmp_path / f"{number}.tar", "--data", backed.hub.data) for number in range(3)]
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert [one.returncode for one in made] == [0, 0, 0], [one.stderr for one in made]


def altered(file: Path, target: Path, how: str) -> Path:
    """A copy of a backup that something happened to: ``cut`` in the middle, without its ``end``, with another ``byte``, ``newer``."""
    if how == "cut":
        content = file.read_bytes()
        target.write_bytes(content[: len(content) // 2])
        return target
    with tarfile.open(file) as source:
        members = {one.name: source.extractfile(one).read() for one in source}  # type: ignore[union-attr]  # all are files
    if how == "end":
        del members[MANIFEST]
    elif how == "byte":
        name = next(name for name in members if name.startswith("blobs/"))
        members[name] = members[name][:-1] + bytes([members[name][-1] ^ 1])
    else:
        header = members[HEADER] = members[HEADER].replace(f'"{newest()}"'.encode(), b'"9999"')
        document = json.loads(members[MANIFEST])
        document["members"][HEADER] = [len(header), hashlib.sha256(header).hexdigest()]
        members[MANIFEST] = json.dumps(document).encode()
    with tarfile.open(target, "w") as copy:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            copy.addfile(member, io.BytesIO(content))
    return target


@pytest.mark.parametrize(
    ("how", "text"),
    [("cut", "no whole backup"), ("end", "cut short"), ("byte", "was altered: blobs/"), ("newer", "9999")],
)
def test_a_backup_that_cannot_be_trusted_leaves_nothing_behind(
    backed: Backed, tmp_path: Path, how: str, text: str
) -> None:
    file = altered(backed.file, tmp_path / "bad.tar", how)
    made = dynolab("hub", "restore", file, "--data", tmp_path / "hub")
    assert (made.returncode, text in made.stderr) == (2, True), made.stderr
    assert "Traceback" not in made.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["bad.tar"]


def test_nothing_is_restored_over_what_is_there(backed: Backed, tmp_path: Path) -> None:
    in_use = dynolab("hub", "restore", backed.file, "--data", backed.hub.data)
    assert (in_use.returncode, "a hub runs on" in in_use.stderr) == (2, True), in_use.stderr
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").touch()
    taken = dynolab("hub", "restore", backed.file, "--data", tmp_path / "photos")
    assert (taken.returncode, "is not empty" in taken.stderr) == (2, True), taken.stderr
    nonsense = tmp_path / "photos" / "holiday.jpg"
    wrong = dynolab("hub", "restore", nonsense, "--data", tmp_path / "hub")
    assert (wrong.returncode, "no" in wrong.stderr and "backup" in wrong.stderr) == (2, True), wrong.stderr
    absent = dynolab("hub", "restore", tmp_path / "none.tar", "--data", tmp_path / "hub")
    assert (absent.returncode, "there is no backup" in absent.stderr) == (2, True), absent.stderr
    assert [path.name for path in tmp_path.rglob("*")] == ["photos", "holiday.jpg"]


@pytest.mark.slow
def test_servers_and_object_stores_are_backed_up_and_restored_alike(backed: Backed, tmp_path: Path) -> None:
    """From the first hub's own PostgreSQL and folder to a server and S3, and from there to a folder again."""
    server = Postgres.start(tmp_path / "server")
    try:
        with object_stores.s3() as store:
            named = {"DYNOLAB_DATABASE_URL": server.dsn, "DYNOLAB_BLOBS_URL": f"{store.url}/a", **store.environment}
            cloud(backed, tmp_path, named)
    except object_stores.Missing as error:
        pytest.skip(str(error))
    finally:
        server.stop()


def cloud(backed: Backed, folder: Path, named: dict[str, str]) -> None:
    no_bucket = {**named, "DYNOLAB_BLOBS_URL": "s3://no-such-bucket/a"}
    refused = dynolab("hub", "restore", backed.file, "--data", folder / "hub", environment=no_bucket)
    assert (refused.returncode, "no such bucket" in refused.stderr) == (2, True), refused.stderr
    assert not (folder / "hub").exists()
    for status, text in ((0, ""), (2, "tables already"), (2, "is not empty")):  # a second time something is there
        place = folder / ("hub" if status == 0 else "other")
        other = {"DYNOLAB_BLOBS_URL": named["DYNOLAB_BLOBS_URL"] + "2"} if text == "tables already" else {}
        made = dynolab("hub", "restore", backed.file, "--data", place, environment={**named, **other})
        assert (made.returncode, text in made.stderr) == (status, True), made.stderr
    assert not (folder / "other").exists()
    with running_hub(folder / "hub", "--no-agent", environment=named) as hub:
        user = User(hub.url, backed.hub.token)
        assert backed.kept.seen_by(user) == backed.seen
        again = dynolab("hub", "backup", folder / "again.tar", "--data", hub.data, environment=named)
        assert again.returncode == 0, again.stderr
    made = dynolab("hub", "restore", folder / "again.tar", "--data", folder / "third")
    assert made.returncode == 0, made.stderr
    with running_hub(folder / "third", "--no-agent") as hub:
        assert backed.kept.seen_by(User(hub.url, backed.hub.token)) == backed.seen
        goes_on(hub, backed.kept)


@pytest.mark.slow
def test_a_backup_of_an_older_schema_becomes_a_hub_of_todays(tmp_path: Path) -> None:
    server = Postgres.start(tmp_path / "server")

    async def older() -> None:
        database = Database(server.url)
        async with database.begin() as connection:
            await connection.run_sync(lambda one: command.upgrade(configuration(one), "0002"))
            await connection.execute(sqlalchemy.text("INSERT INTO account (email) VALUES ('old@example.org')"))
        await database.close()

    try:
        asyncio.run(older())
        named = {"DYNOLAB_DATABASE_URL": server.dsn}
        made = dynolab("hub", "backup", tmp_path / "old.tar", "--data", tmp_path / "old", environment=named)
        assert made.returncode == 0, made.stderr
    finally:
        server.stop()
    made = dynolab("hub", "restore", tmp_path / "old.tar", "--data", tmp_path / "hub")
    assert made.returncode == 0, made.stderr
    with running_hub(tmp_path / "hub", "--no-agent") as hub:
        User(hub.url, hub.token).upload("models", b"bytes")
        assert asyncio.run(known(tmp_path / "hub")) == ({"old@example.org", "admin@localhost"}, newest())


async def known(data: Path) -> tuple[set[str], str]:
    """The accounts of a running hub, and its schema's version."""
    url = running(data / "postgres")
    assert url is not None
    database = Database(url)
    async with database.begin() as connection:
        emails = set((await connection.execute(sqlalchemy.text("SELECT email FROM account"))).scalars())
        version = str(await connection.scalar(sqlalchemy.text("SELECT version_num FROM alembic_version")))
    await database.close()
    return emails, version
