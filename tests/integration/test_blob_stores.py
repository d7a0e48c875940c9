"""Where the hub keeps bytes: a folder and the clouds' stores, each the real thing or a server of somebody else's, behind a running hub."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab.agent.http import HubDoor
from dynolab.errors import SpecInvalid, Unavailable
from dynolab.hub.opening import opened
from dynolab.hub.settings import Settings
from dynolab.hub.store.blobs import OWNER, Blobs
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, ClaimRequest, DeviceOffer, Outcome
from dynolab.testing import object_stores
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

MIB = 1 << 20
MODEL = os.urandom(12 * MIB)
"""Longer than what goes to a store in one request."""
ORPHAN_AGE_S = 2.0


@dataclass
class Site:
    """A hub, and the store behind it as this test sees it."""

    hub: RunningHub
    blobs: Blobs
    http: httpx.Client
    door: HubDoor

    def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.hub.token}"}
        answer = self.http.request(method, f"{self.hub.url}/api/hub/v1{path}", headers=headers, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        is_json = answer.content and answer.headers.get("content-type") == "application/json"
        return answer.json() if is_json else answer.content

    def upload(self, kind: str, content: bytes) -> str:
        made = {"models": {"name": "net", "kind": "onnx"}, "datasets": {"name": "data"}}[kind]
        target = self.ask("POST", f"/{kind}", 201, json=made)["id"]
        begun = self.ask("POST", f"/{kind}/{target}/uploads", 201, json={"size": len(content)})
        part = begun["part_bytes"]
        etags = [
            self.http.put(url, content=content[number * part : (number + 1) * part]).headers["etag"]
            for number, url in enumerate(begun["urls"])
        ]
        self.ask("POST", f"/{kind}/{target}/uploads/{begun['upload_id']}/complete", json={"etags": etags})
        return str(target)

    def download(self, model: str) -> bytes:
        return self.http.get(self.ask("GET", f"/models/{model}/download")["url"]).content

    def claim(self, name: str) -> Assignment | None:
        return self.door.claim(ClaimRequest(AGENT_PROTOCOL, DeviceOffer(id=name, name=name, os="1"), 5.0))

    def finished(self, model: str, folder: Path) -> str:
        """A job that an agent, which is this test, has done, with a result and a log."""
        name = f"device-{uuid.uuid4().hex[:6]}"
        self.door.claim(ClaimRequest(AGENT_PROTOCOL, DeviceOffer(id=name, name=name, os="1"), 0.0))
        job = self.ask("POST", "/jobs", 201, json={"model_id": model, "device": {"name": name}})["id"]
        claimed = self.claim(name)
        assert claimed is not None
        assert claimed.job == job
        assert self.door.fetch(claimed.attempt, "model", claimed.model, folder).read_bytes() == MODEL
        for verb, content in (("result", b'{"stages": []}'), ("log", b"a line\n")):
            (folder / verb).write_bytes(content)
            self.door.store(claimed.attempt, verb, folder / verb)
        self.door.finish(claimed.attempt, Outcome(summary={"estimated_inference_time_ns": 1}))
        return str(job)

    def stored(self) -> set[str]:
        """What the store holds, but for the hub's own mark."""

        async def listed() -> set[str]:
            return {key for prefix in ("attempts", "uploads") for key in await self.blobs.keys(prefix)}

        return asyncio.run(listed())

    def put(self, key: str, content: bytes) -> None:
        async def chunks() -> AsyncIterator[bytes]:
            yield content

        asyncio.run(self.blobs.put(key, chunks()))


@pytest.fixture(
    scope="module",
    params=["folder", "s3", pytest.param("gcs", marks=pytest.mark.slow), pytest.param("azure", marks=pytest.mark.slow)],
)
def site(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    folder = tmp_path_factory.mktemp("hub")
    environment, place = {"DYNOLAB_ORPHAN_AGE_S": f"{ORPHAN_AGE_S:g}"}, folder / "hub" / "blobs"
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        where: Path | str = place
        if request.param != "folder":
            opened = {"s3": object_stores.s3, "gcs": lambda: object_stores.gcs(folder), "azure": object_stores.azure}
            try:
                store = stack.enter_context(opened[request.param]())
            except object_stores.Missing as error:
                pytest.skip(str(error))
            where = f"{store.url}/some/prefix"
            environment |= {"DYNOLAB_BLOBS_URL": where, **store.environment}
            for name, value in store.environment.items():
                patch.setenv(name, value)
        hub = stack.enter_context(running_hub(folder / "hub", "--no-agent", environment=environment))
        http = stack.enter_context(httpx.Client(timeout=60))
        door = HubDoor(hub.url, hub.agent_token)
        stack.callback(door.close)
        yield Site(hub, Blobs(where), http, door)


def test_models_results_and_logs_go_through_the_store_and_are_gone_with_their_owners(
    site: Site, tmp_path: Path
) -> None:
    before = site.stored()
    model, data = site.upload("models", MODEL), site.upload("datasets", b"data")
    assert site.download(model) == MODEL
    job = site.finished(model, tmp_path)
    assert site.ask("GET", f"/jobs/{job}/profile") == {"stages": []}
    assert site.ask("GET", f"/jobs/{job}/log") == b"a line\n"
    assert len(site.stored() - before) == 4
    for path in (f"/jobs/{job}", f"/models/{model}", f"/datasets/{data}"):
        site.ask("DELETE", path, 204)
    assert site.stored() == before


@pytest.mark.slow
def test_a_model_of_several_parts_comes_back_as_it_was(site: Site) -> None:
    content = os.urandom(64 * MIB + 5)
    model = site.upload("models", content)
    assert site.download(model) == content
    site.ask("DELETE", f"/models/{model}", 204)


def test_what_a_crash_left_is_swept_and_what_somebody_needs_is_not(site: Site) -> None:
    kept = site.upload("models", MODEL)
    begun = site.ask(
        "POST",
        f"/models/{site.ask('POST', '/models', 201, json={'kind': 'onnx'})['id']}/uploads",
        201,
        json={"size": 3},
    )
    assert site.http.put(begun["urls"][0], content=b"abc").is_success  # noted, and not complete
    needed = site.stored()
    orphans = {f"attempts/{uuid.uuid4()}/result-0123abcd", f"uploads/{begun['upload_id']}/00000-0123abcd"}
    for key in orphans:
        site.put(key, b"left by a crash")
    until(lambda: not orphans & site.stored(), "the sweep of the orphans")
    assert site.stored() == needed
    assert site.download(kept) == MODEL


@pytest.mark.parametrize("site", ["folder"], indirect=True)
def test_a_file_whose_writing_was_cut_short_is_swept(site: Site) -> None:
    """Object stores keep such parts out of sight, and have rules that end them."""
    assert isinstance(site.blobs.place, Path)
    cut, others = site.blobs.place / "uploads" / "u1" / "00000-0123abcd#1", site.blobs.place / "notes#2.txt"
    cut.parent.mkdir(parents=True)
    for path in (cut, others):
        path.write_bytes(b"half a par")
    until(lambda: not cut.exists(), "the sweep of the file")
    assert others.exists()


@pytest.mark.parametrize("site", ["folder"], indirect=True)
def test_an_object_that_is_gone_is_told_of_and_is_no_empty_file(site: Site) -> None:
    model = site.upload("models", b"bytes")
    url = site.ask("GET", f"/models/{model}/download")["url"]
    asyncio.run(site.blobs.delete(sorted(site.stored())))
    answer = site.http.get(url)
    assert (answer.status_code, answer.json()["code"]) == (404, "NotFound")
    site.ask("DELETE", f"/models/{model}", 204)


@pytest.mark.slow
def test_a_store_that_goes_away_fails_requests_and_not_the_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with ExitStack() as stack, ExitStack() as later:
        try:
            store = stack.enter_context(object_stores.s3())
        except object_stores.Missing as error:
            pytest.skip(str(error))
        environment = {"DYNOLAB_BLOBS_URL": f"{store.url}/away", **store.environment}
        hub = later.enter_context(running_hub(tmp_path / "hub", "--no-agent", environment=environment))
        http = later.enter_context(httpx.Client(timeout=60))
        site = Site(hub, Blobs(tmp_path / "unused"), http, HubDoor(hub.url, hub.agent_token))
        later.callback(site.door.close)
        model = site.upload("models", b"bytes")
        url = site.ask("GET", f"/models/{model}/download")["url"]
        empty = site.ask("POST", "/models", 201, json={"kind": "onnx"})["id"]
        begun = site.ask("POST", f"/models/{empty}/uploads", 201, json={"size": 3})
        stack.close()
        for answer in (http.get(url), http.put(begun["urls"][0], content=b"abc")):
            assert (answer.status_code, answer.json()["code"]) == (503, "Unavailable"), answer.text
            assert "blob store" in answer.json()["message"]
        assert site.ask("GET", f"/models/{model}")["has_bytes"]


# ---- starts ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s3() -> Iterator[object_stores.ObjectStore]:
    try:
        with object_stores.s3() as store:
            yield store
    except object_stores.Missing as error:
        pytest.skip(str(error))


def start(data: Path, environment: dict[str, str | None]) -> subprocess.CompletedProcess[str]:
    """``dynolab hub`` with nothing of this process's that leads to a store; None takes a variable away."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("AWS_", "GOOGLE_", "AZURE_"))}
    command = [sys.executable, "-m", "dynolab.cli.main", "hub", "--data", str(data), "--port", "0", "--no-agent"]
    more = {name: value for name, value in environment.items() if value is not None}
    return subprocess.run(command, env={**clean, **more}, capture_output=True, text=True, timeout=60, check=False)


@pytest.mark.parametrize(
    ("url", "changes", "text"),
    [
        ("s3://no-such-bucket/hub", {}, "no such bucket"),
        ("s3://bucket/hub", {"AWS_ACCESS_KEY_ID": None}, "AWS_ACCESS_KEY_ID"),
    ],
)
def test_a_store_that_cannot_be_used_is_told_of_at_the_start(
    postgres: OwnDatabase,
    s3: object_stores.ObjectStore,
    tmp_path: Path,
    url: str,
    changes: dict[str, str | None],
    text: str,
) -> None:
    named = {"DYNOLAB_DATABASE_URL": postgres.dsn, "DYNOLAB_BLOBS_URL": url}
    ended = start(tmp_path / "hub", {**named, **s3.environment, **changes})
    assert ended.returncode == 2, ended.stderr
    assert text in ended.stderr
    assert "DYNOLAB_BLOBS_URL" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("gs://bucket/hub", "/no/such/file.json"),
        ("az://bucket/hub", "AZURE_STORAGE_ACCOUNT_NAME"),
        ("ftp://bucket", "begin with s3://"),
        ("file://host/blobs", "begin with s3://"),
        ("s3://", "Unable to recognise"),
        ("a bucket", "begin with s3://"),
    ],
)
def test_an_address_that_names_no_store_is_refused(monkeypatch: pytest.MonkeyPatch, url: str, text: str) -> None:
    for name in [name for name in os.environ if name.startswith("AZURE_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("GOOGLE_SERVICE_ACCOUNT", "/no/such/file.json")
    with pytest.raises(SpecInvalid) as refused:
        Blobs(url)
    assert url in str(refused.value)
    assert text in f"{refused.value} {refused.value.hint}"


def test_a_store_that_says_nothing_is_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("dynolab.hub.store.blobs.START_S", 0.5)
    with socket.create_server(("127.0.0.1", 0)) as silent:
        for name, value in object_stores.s3_environment(f"http://127.0.0.1:{silent.getsockname()[1]}").items():
            monkeypatch.setenv(name, value)
        with pytest.raises(Unavailable, match="does not answer"):
            asyncio.run(Blobs("s3://bucket/hub").claim("me"))


def test_a_start_waits_for_a_store_that_is_not_up_yet(
    postgres: OwnDatabase, s3: object_stores.ObjectStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = list[str]()
    for name, value in {**s3.environment, "AWS_ENDPOINT": "http://127.0.0.1:9"}.items():
        monkeypatch.setenv(name, value)

    def tell(line: str) -> None:
        told.append(line)
        monkeypatch.setenv("AWS_ENDPOINT", s3.environment["AWS_ENDPOINT"])

    async def opening() -> None:
        settings = Settings(tmp_path, blobs_url=f"{s3.url}/{tmp_path.name}")
        hub = await opened(settings, postgres.url, postgres.dsn, tell)
        await hub.database.close()

    asyncio.run(opening())
    assert "waits to start" in told[0]
    assert "does not answer" in told[0]
    assert "and starts" in told[-1]


def test_a_hub_does_not_share_a_place_with_another(
    postgres: OwnDatabase, tmp_path: Path, s3: object_stores.ObjectStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    place = f"{s3.url}/others"
    asyncio.run(Blobs(place).claim("another"))
    named = {"DYNOLAB_DATABASE_URL": postgres.dsn, "DYNOLAB_BLOBS_URL": place}
    ended = start(tmp_path / "hub", {**named, **s3.environment})
    assert (ended.returncode, "another hub" in ended.stderr) == (2, True), ended.stderr
    assert bytes(b"".join(Blobs(place).open(OWNER)[1])) == b"another"
