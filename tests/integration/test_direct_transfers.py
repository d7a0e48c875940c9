"""Bytes that go to the S3 store and come from it past the hub: counted on both of the hub's lines, and refused where they do not fit."""

from __future__ import annotations

import asyncio
import hashlib
import json
import os
import re
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("botocore")

from sqlalchemy import select, text

from dynolab import errors
from dynolab.agent.http import HubDoor
from dynolab.client.client import Client
from dynolab.client.settings import ClientConfig
from dynolab.hub.app import open_hub
from dynolab.hub.checks.check import check
from dynolab.hub.settings import Settings
from dynolab.hub.store import direct
from dynolab.hub.store.blobs import Blobs
from dynolab.hub.store.tables import blob, model
from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.begin_upload import Begun, begin_upload
from dynolab.hub.usecases.create_model import create_model
from dynolab.hub.usecases.sign_in import sign_in
from dynolab.hub.usecases.sweep_digests import ahead_s, counted, sweep_digests
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, ClaimRequest, DeviceOffer, FileOffer, Outcome
from dynolab.testing import object_stores
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub, running_hub

from ..devices.tcp_proxy import TcpProxy
from . import official

T = TypeVar("T")
MIB = 1 << 20
PART = 5 * MIB
MODEL = b"\x1c\0\0\0TFL3" + os.urandom(12 * MIB + 9)
"""Begins as a TFLite file does."""
"""Three parts, the last one short."""
LITTLE_MODEL = b"a model"
RESULT = json.dumps({"stages": [], "filler": os.urandom(MIB).hex()}).encode()
LITTLE = MIB
"""More than all the talk about a transfer takes, less than any transfer here."""


@dataclass
class Site:
    """A hub whose lines to its clients and to its store are counted, and the store itself."""

    hub: RunningHub
    front: TcpProxy
    back: TcpProxy
    blobs: Blobs
    http: httpx.Client
    door: HubDoor
    database: OwnDatabase
    settings: Settings
    """Of a further replica, in this process."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.front.port}"

    def ask(self, method: str, path: str, status: int = 200, **more: Any) -> Any:
        headers = {"Authorization": f"Bearer {self.hub.token}"}
        answer = self.http.request(method, f"{self.url}/api/hub/v1{path}", headers=headers, **more)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def begun(self, size: int, kind: str = "models") -> tuple[str, dict[str, Any]]:
        made = {"models": {"name": "net", "kind": "onnx"}, "datasets": {"name": "data"}}[kind]
        target = str(self.ask("POST", f"/{kind}", 201, json=made)["id"])
        return target, self.ask("POST", f"/{kind}/{target}/uploads", 201, json={"size": size})

    def sent(self, begun: dict[str, Any], content: bytes) -> list[str]:
        part = begun["part_bytes"]
        pieces = [content[at * part : (at + 1) * part] for at in range(len(begun["urls"]))]
        answers = [self.http.put(url, content=piece) for url, piece in zip(begun["urls"], pieces, strict=True)]
        assert [answer.status_code for answer in answers] == [200] * len(pieces), answers[0].text
        return [answer.headers["etag"] for answer in answers]

    def complete(self, target: str, begun: dict[str, Any], etags: list[str], status: int = 200) -> Any:
        return self.ask(
            "POST", f"/models/{target}/uploads/{begun['upload_id']}/complete", status, json={"etags": etags}
        )

    def uploaded(self, content: bytes) -> str:
        target, begun = self.begun(len(content))
        self.complete(target, begun, self.sent(begun, content))
        return target

    def claimed(self, model: str) -> Assignment:
        name = f"device-{uuid.uuid4().hex[:6]}"
        asked = ClaimRequest(AGENT_PROTOCOL, DeviceOffer(id=name, name=name, os="1"), 0.0)
        assert self.door.claim(asked) is None
        self.ask("POST", "/jobs", 201, json={"model_id": model, "device": {"name": name}})
        found = self.door.claim(ClaimRequest(AGENT_PROTOCOL, asked.device, 10.0))
        assert found is not None
        return found

    def counted(self, work: Callable[[], Any]) -> int:
        """Bytes that passed on the hub's line to clients, and that it sent to the store, while the work was done.

        What it fetches there is not counted: it reads what came past it for its digest.
        """
        before = self.front.passed + self.back.onward
        work()
        return self.front.passed + self.back.onward - before

    def stored(self) -> set[str]:
        async def listed() -> set[str]:
            return {key for prefix in ("attempts", "uploads") for key in await self.blobs.keys(prefix)}

        return asyncio.run(listed())


@pytest.fixture(scope="module")
def site(databases: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    postgres: OwnDatabase = databases.new()
    with ExitStack() as stack, pytest.MonkeyPatch.context() as patch:
        try:
            store = stack.enter_context(object_stores.s3())
        except object_stores.Missing as error:
            pytest.skip(str(error))
        endpoint = store.environment["AWS_ENDPOINT"]
        back = TcpProxy(int(endpoint.rpartition(":")[2]))
        stack.callback(back.close)
        environment = {
            **store.environment,
            "AWS_ENDPOINT": f"http://127.0.0.1:{back.port}",
            "DYNOLAB_DATABASE_URL": postgres.dsn,
            "DYNOLAB_BLOBS_URL": f"{store.url}/some/prefix",
            "DYNOLAB_TRANSFERS": "direct",
            "DYNOLAB_TRANSFERS_ENDPOINT": endpoint,
            "DYNOLAB_PART_BYTES": str(PART),
        }
        for name, value in store.environment.items():
            patch.setenv(name, value)
        hub = stack.enter_context(running_hub(tmp_path_factory.mktemp("hub"), "--no-agent", environment=environment))
        front = TcpProxy(int(hub.url.rpartition(":")[2]))
        stack.callback(front.close)
        http = stack.enter_context(httpx.Client(timeout=60))
        door = HubDoor(f"http://127.0.0.1:{front.port}", hub.agent_token)
        stack.callback(door.close)
        settings = Settings(
            tmp_path_factory.mktemp("replica"),
            blobs_url=f"{store.url}/some/prefix",
            transfers="direct",
            part_bytes=PART,
        )
        yield Site(hub, front, back, Blobs(f"{store.url}/some/prefix"), http, door, postgres, settings)


def test_a_model_goes_up_and_comes_down_past_the_hub(site: Site, tmp_path: Path) -> None:
    client = Client(ClientConfig(site.hub.token, site.url, verbose=False))
    file = tmp_path / "net.tflite"
    file.write_bytes(MODEL)
    try:
        passed = site.counted(lambda: client.upload_model(file))
        model = client.get_models()[0]
        passed += site.counted(lambda: model.download(str(tmp_path / "again.tflite")))
    finally:
        client.close()
    assert (tmp_path / "again.tflite").read_bytes() == MODEL
    assert passed < LITTLE, f"{passed} bytes of twice {len(MODEL)} passed through the hub"


def test_what_an_agent_is_given_and_leaves_goes_past_the_hub(site: Site, tmp_path: Path) -> None:
    model = site.uploaded(MODEL)
    given, result = tmp_path / "given", tmp_path / "result"
    given.mkdir()
    result.write_bytes(RESULT)
    (tmp_path / "log").write_bytes(b"a line\n")
    claimed = site.claimed(model)

    def work() -> None:
        assert site.door.fetch(claimed.attempt, "model", claimed.model, given).read_bytes() == MODEL
        site.door.store(claimed.attempt, "result", result)
        site.door.store(claimed.attempt, "log", tmp_path / "log")
        site.door.finish(claimed.attempt, Outcome(summary={"estimated_inference_time_ns": 1}))

    passed = site.counted(work)
    assert passed < LITTLE, f"{passed} bytes passed through the hub"
    assert site.ask("GET", f"/jobs/{claimed.job}")["state"] == "done"
    whole = site.http.get(
        f"{site.url}/api/hub/v1/jobs/{claimed.job}/profile", headers={"Authorization": f"Bearer {site.hub.token}"}
    )
    assert whole.content == RESULT


OFFICIAL = """
import json, sys
answer, sys.stdout = sys.stdout, sys.stderr  # the client prints as it goes
import h5py, numpy as np
import qai_hub as hub
asked = json.load(sys.stdin)
model = hub.upload_model(asked["model"])
model.download(asked["back"])
data = {"x": [np.frombuffer(bytes(range(256)) * 8192, np.uint8).copy()]}
dataset = hub.upload_dataset(data)
same = all((one == two).all() for one, two in zip(dataset.download()["x"], data["x"]))
json.dump({"same": bool(same)}, answer)
"""


def test_the_official_client_sends_and_fetches_past_the_hub(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ini = tmp_path / "client.ini"
    ini.write_text(
        f"[api]\napi_token = {site.hub.token}\napi_url = {site.url}\nweb_url = {site.url}\nverbose = False\n"
    )
    monkeypatch.setenv("QAIHUB_CLIENT_INI", str(ini))
    (tmp_path / "net.dlc").write_bytes(MODEL)
    asked = {"model": str(tmp_path / "net.dlc"), "back": str(tmp_path / "back.dlc")}
    passed = site.counted(lambda: asked.update(official.ask("0.56.0", OFFICIAL, asked)))
    assert asked["same"]
    assert (tmp_path / "back.dlc").read_bytes() == MODEL
    assert passed < LITTLE, f"{passed} bytes passed through the hub"


# ---- what does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("other", [MODEL[:PART] + b"x", MODEL[: PART - 1], b""], ids=["more", "less", "nothing"])
def test_a_part_of_another_length_is_refused_by_the_store_itself(site: Site, other: bytes) -> None:
    target, begun = site.begun(len(MODEL))
    answer = site.http.put(begun["urls"][0], content=other)
    assert answer.status_code == 403, answer.text
    assert site.complete(target, begun, [], 409)["code"] == "Conflict"


def test_an_address_is_good_for_its_part_alone(site: Site) -> None:
    _, begun = site.begun(len(MODEL))
    first, second = begun["urls"][:2]
    for wrong in (first.replace("partNumber=1", "partNumber=2"), second.replace("uploads/u", "uploads/v")):
        assert site.http.put(wrong, content=MODEL[:PART]).status_code in (403, 404)
    assert site.http.get(first).status_code == 403


def test_other_tags_than_those_of_what_came_are_refused_and_the_right_ones_taken_then(site: Site) -> None:
    target, begun = site.begun(len(MODEL))
    etags = site.sent(begun, MODEL)
    wrong = [etags[0], '"00000000000000000000000000000000"', etags[2]]
    assert site.complete(target, begun, wrong, 422)["code"] == "SpecInvalid"
    again = site.http.put(begun["urls"][1], content=os.urandom(PART))
    assert again.status_code == 200
    assert site.complete(target, begun, etags, 422)["code"] == "SpecInvalid", "another part than the client was told of"
    assert site.http.put(begun["urls"][1], content=MODEL[PART : 2 * PART]).headers["etag"] == etags[1]
    site.complete(target, begun, etags)
    site.complete(target, begun, etags)  # said twice, done once
    found = site.http.get(site.ask("GET", f"/models/{target}/download")["url"], follow_redirects=True)
    assert found.content == MODEL
    assert 'filename="' in found.headers["content-disposition"]


def test_parts_that_are_missing_are_told_of(site: Site) -> None:
    target, begun = site.begun(len(MODEL))
    site.http.put(begun["urls"][0], content=MODEL[:PART])
    assert site.complete(target, begun, [], 422)["code"] == "SpecInvalid"


def test_nothing_can_be_altered_once_an_upload_is_complete(site: Site) -> None:
    target, begun = site.begun(len(MODEL))
    site.complete(target, begun, site.sent(begun, MODEL))
    answer = site.http.put(begun["urls"][0], content=os.urandom(PART))
    assert answer.status_code == 404, answer.text
    found = site.http.get(site.ask("GET", f"/models/{target}/download")["url"], follow_redirects=True)
    assert found.content == MODEL


def test_an_address_of_the_hubs_leads_on_as_long_as_its_holder_may_read(site: Site) -> None:
    model = site.uploaded(MODEL)
    token = site.ask("POST", "/tokens", 201, json={"label": "for a while"})
    asked = {"Authorization": f"Bearer {token['secret']}"}
    url = site.http.get(f"{site.url}/api/hub/v1/models/{model}/download", headers=asked).json()["url"]
    led = site.http.get(url)
    assert led.status_code == 307
    assert led.headers["cache-control"] == "no-store"
    site.ask("DELETE", f"/tokens/{token['id']}", 204)
    assert site.http.get(url).status_code == 404


def test_what_is_deleted_is_gone_from_the_store(site: Site) -> None:
    before = site.stored()
    model = site.uploaded(MODEL)
    assert len(site.stored() - before) == 1, "one object, however many parts it came in"
    site.ask("DELETE", f"/models/{model}", 204)
    assert site.stored() == before


# ---- addresses that have run out ---------------------------------------------------------------------------------------


def refused_until_renewed(url: httpx.URL) -> httpx.URL:
    """An address that the store refuses, as it refuses one that has run out: with 403."""
    return url.copy_set_param("X-Amz-Signature", "0" * 64)


def test_the_store_takes_nothing_at_an_address_that_has_run_out_and_the_same_upload_goes_on_at_another(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct, "SEND_LIFE_S", 1)
    monkeypatch.setattr(direct, "SEND_LEAST_BYTES_PER_S", 1 << 40)

    async def work(hub: Hub, other: Hub) -> tuple[str, Begun]:
        account = await sign_in(hub, f"token {site.hub.token}", kind="user")
        made, _ = await create_model(hub, account, name="net", kind="onnx", is_directory=False)
        return made, await begin_upload(hub, account, model, made, size=len(MODEL), direct=True)

    target, begun = on_replicas(site, work)
    while (answer := site.http.put(begun.urls[0], content=MODEL[:PART])).is_success:
        pass
    assert answer.status_code == 403, answer.text
    assert site.http.post(f"{site.url}/api/hub/v1/models/{target}/uploads/{begun.id}/addresses").status_code == 401
    again = site.ask("POST", f"/models/{target}/uploads/{begun.id}/addresses")
    assert again["part_bytes"] == PART
    assert {httpx.URL(one).params["X-Amz-Expires"] for one in again["urls"]} == {str(900 + len(MODEL) // (256 << 10))}
    site.complete(target, again, site.sent(again, MODEL))
    site.ask("POST", f"/models/{target}/uploads/{begun.id}/addresses", 409)
    site.ask("POST", f"/models/{target}/uploads/unone/addresses", 409)
    site.ask("DELETE", f"/models/{target}", 204)


def test_a_client_whose_addresses_have_run_out_asks_for_others(
    site: Site, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = Client(ClientConfig(site.hub.token, site.url, verbose=False))
    (tmp_path / "net.tflite").write_bytes(MODEL)
    put, refused = httpx.put, list[int]()

    def late(url: str, **more: Any) -> httpx.Response:
        """The second part comes when its address has run out."""
        if "partNumber=2" in url and not refused:
            answer = put(str(refused_until_renewed(httpx.URL(url))), **more)
            refused.append(answer.status_code)
            return answer
        return put(url, **more)

    monkeypatch.setattr(httpx, "put", late)
    try:
        sent = client.upload_model(tmp_path / "net.tflite")
        assert refused == [403]
        sent.download(str(tmp_path / "again.tflite"))
        assert (tmp_path / "again.tflite").read_bytes() == MODEL
        monkeypatch.setattr(httpx, "put", lambda url, **more: put(str(refused_until_renewed(httpx.URL(url))), **more))
        with pytest.raises(errors.Forbidden, match=r"takes no part of net.tflite at the address .* 403 \w+"):
            client.upload_model(tmp_path / "net.tflite")
    finally:
        client.close()


def test_an_agent_whose_addresses_have_run_out_asks_for_others(site: Site, tmp_path: Path) -> None:
    claimed = site.claimed(site.uploaded(LITTLE_MODEL))
    (tmp_path / "result").write_bytes(RESULT)
    refused = list[httpx.URL]()

    def late(request: httpx.Request) -> None:
        if request.method == "PUT" and not refused:
            refused.append(request.url)
            request.url = refused_until_renewed(request.url)

    door = HubDoor(site.url, site.hub.agent_token)
    door._client.event_hooks["request"].append(late)
    try:
        passed = site.counted(lambda: door.store(claimed.attempt, "result", tmp_path / "result"))
        assert refused
        assert passed < LITTLE, f"{passed} bytes passed through the hub"
        assert door._direct.is_open
        door.finish(claimed.attempt, Outcome(summary={}))
    finally:
        door.close()
    headers = {"Authorization": f"Bearer {site.hub.agent_token}"}
    base = f"{site.url}/api/agent/v1/attempts/{claimed.attempt}/uploads/addresses"
    assert site.http.post(base, json={"upload": "forged"}, headers=headers).status_code == 409, "it is over"


@pytest.mark.parametrize(("size", "life_s"), [(0, 900), (1 << 30, 900 + 4096), (64 << 30, 86400)])
def test_addresses_last_as_long_as_their_bytes_take_and_a_while_to_begin(size: int, life_s: int) -> None:
    assert direct.send_life_s(size) == life_s


@pytest.mark.parametrize(("size", "life_s"), [(0, 900), (1 << 20, 964), (1 << 30, 900 + 65536), (64 << 30, 86400)])
def test_addresses_of_a_client_that_asks_for_no_others_last_longer(size: int, life_s: int) -> None:
    assert direct.send_life_s(size, asks_again=False) == life_s


def test_ai_hubs_client_is_given_time_for_a_slow_line(site: Site) -> None:
    made = site.ask("POST", "/models", 201, json={"name": "slow", "kind": "onnx"})["id"]
    headers = {"Authorization": f"Bearer {site.hub.token}"}
    place = f"{site.url}/api/v1/models/{made}/multipart_upload/?file_size={len(MODEL)}"
    answer = site.http.get(place, headers=headers)
    assert answer.status_code == 200, answer.text
    lives = set(re.findall(rb"X-Amz-Expires=(\d+)", answer.content))
    assert lives == {b"%d" % direct.send_life_s(len(MODEL), asks_again=False)}
    assert int(next(iter(lives))) > direct.send_life_s(len(MODEL))


# ---- digests ---------------------------------------------------------------------------------------------------------


def on_replicas(site: Site, work: Callable[[Hub, Hub], Awaitable[T]]) -> T:
    """What the work gives with two further replicas."""

    async def carry_out() -> T:
        hubs = [await open_hub(site.settings, site.database.url, site.database.dsn) for _ in range(2)]
        try:
            return await work(*hubs)
        finally:
            for one in hubs:
                await one.database.close()

    return asyncio.run(carry_out())


async def known_digests(hub: Hub, model_id: str) -> list[str] | None:
    found = select(blob.c.digests).join(model, model.c.blob_id == blob.c.id).where(model.c.id == model_id)
    async with hub.database.single() as connection:
        digests: list[str] | None = await connection.scalar(found)
    return digests


def test_what_went_past_the_hub_is_read_once_and_its_digest_kept_then(site: Site, tmp_path: Path) -> None:
    sent = site.uploaded(MODEL)
    lost = site.uploaded(LITTLE_MODEL)

    async def work(hub: Hub, other: Hub) -> None:
        async with hub.database.single() as connection:
            [keys] = await connection.scalars(select(blob.c["keys"]).join(model).where(model.c.id == lost))
        await hub.blobs.delete(keys)
        await run(
            hub, f"UPDATE blob SET digests = ARRAY[NULL] WHERE id = (SELECT blob_id FROM model WHERE id = '{lost}')"
        )
        digests = None
        while digests in (None, [None]):  # the running hub may be at it
            await asyncio.gather(sweep_digests(hub), sweep_digests(other))
            digests = await known_digests(hub, sent)
        assert digests == [hashlib.sha256(MODEL).hexdigest()]
        assert await known_digests(hub, lost) == [None], "there is nothing to be read"

    on_replicas(site, work)
    settings = replace(site.settings, database_url=site.database.dsn)
    found = {one.name: one for one in check(settings, lambda *_: None, digests=True).findings}
    assert found["blob-has-its-digest"].ok
    site.ask("DELETE", f"/models/{lost}", 204)
    asyncio.run(altered(site, sent))
    again = {one.name: one for one in check(settings, lambda *_: None, digests=True).findings}
    assert f"the model {sent}" in again["blob-has-its-digest"].problems[0].what
    site.ask("DELETE", f"/models/{sent}", 204)


async def altered(site: Site, model_id: str) -> None:
    """One byte of the model's is another now."""
    hub = await open_hub(site.settings, site.database.url, site.database.dsn)
    try:
        async with hub.database.single() as connection:
            [keys] = await connection.scalars(select(blob.c["keys"]).join(model).where(model.c.id == model_id))
    finally:
        await hub.database.close()
    site.blobs.write(keys[0], [bytes([MODEL[0] ^ 1]), MODEL[1:]])


def test_while_one_replica_reads_the_others_do_not(site: Site) -> None:
    sent = site.uploaded(LITTLE_MODEL)

    async def work(hub: Hub, other: Hub) -> None:
        taken = "INSERT INTO setting VALUES ('digests_read_by', 'somebody ' || extract(epoch FROM now()) + 30)"
        await run(hub, f"{taken} ON CONFLICT (name) DO UPDATE SET value = excluded.value")
        await run(hub, f"UPDATE blob SET digests = NULL WHERE id = (SELECT blob_id FROM model WHERE id = '{sent}')")
        await sweep_digests(hub)
        assert await known_digests(hub, sent) is None
        await run(hub, "UPDATE setting SET value = 'somebody 1000000' WHERE name = 'digests_read_by'")
        while await known_digests(hub, sent) is None:
            await sweep_digests(other)

    on_replicas(site, work)
    site.ask("DELETE", f"/models/{sent}", 204)


async def run(hub: Hub, statement: str) -> None:
    async with hub.database.begin() as connection:
        await connection.execute(text(statement))


def test_what_is_not_as_it_was_noted_is_told_once_and_not_read_again(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    sent = site.uploaded(LITTLE_MODEL)

    async def work(hub: Hub, other: Hub) -> None:
        await run(
            hub,
            "UPDATE blob SET digests = NULL, bytes = bytes + 1 "
            f"WHERE id = (SELECT blob_id FROM model WHERE id = '{sent}')",
        )
        while not hub.wrong_blobs:  # the running hub may be at it
            await sweep_digests(hub)
        for _ in range(3):
            await sweep_digests(hub)

    on_replicas(site, work)
    assert caplog.text.count("no digest is noted") == 1
    site.ask("DELETE", f"/models/{sent}", 204)


def test_digests_are_read_no_faster_than_they_may() -> None:
    assert ahead_s(64 << 20, took_s=0.5, per_s=32 << 20) == 1.5
    assert ahead_s(64 << 20, took_s=2.5, per_s=32 << 20) == 0.0
    assert counted(64 << 20, per_s=32 << 20) == 64 << 20
    assert counted(100, per_s=50_000_000) == 1_000_000, "a million small ones would keep a replica busy for an hour"


# ---- agents ----------------------------------------------------------------------------------------------------------


def test_an_agent_that_does_not_reach_the_store_sends_through_the_hub(site: Site, tmp_path: Path) -> None:
    model = site.uploaded(MODEL)
    (tmp_path / "result").write_bytes(RESULT)
    door = HubDoor(site.url, site.hub.agent_token)
    door._client.event_hooks["request"].append(_only(site.front.port))
    try:
        claimed = site.claimed(model)
        assert door.fetch(claimed.attempt, "model", claimed.model, tmp_path).read_bytes() == MODEL
        door.store(claimed.attempt, "result", tmp_path / "result")
        door.finish(claimed.attempt, Outcome(summary={}))
    finally:
        door.close()
    assert site.ask("GET", f"/jobs/{claimed.job}")["state"] == "done"


def _only(port: int) -> Callable[[httpx.Request], None]:
    """An agent whose network has no way but to the hub."""

    def check(request: httpx.Request) -> None:
        if request.url.port != port:
            raise httpx.ConnectError("no route to host", request=request)

    return check


def test_an_attempt_that_is_over_keeps_nothing(site: Site, tmp_path: Path) -> None:
    model = site.uploaded(MODEL[:100])
    claimed = site.claimed(model)
    headers = {"Authorization": f"Bearer {site.hub.agent_token}"}
    base = f"{site.url}/api/agent/v1/attempts/{claimed.attempt}/uploads"
    places = site.http.post(base, json={"what": "artifact", "bytes": len(RESULT)}, headers=headers).json()
    before = site.stored()
    etag = site.http.put(places["urls"][0], content=RESULT).headers["etag"]
    site.door.finish(claimed.attempt, Outcome(summary={}))
    sent = site.http.post(f"{base}/complete", json={"upload": places["upload"], "etags": [etag]}, headers=headers)
    assert sent.status_code == 409
    assert site.stored() == before
    forged = site.http.post(
        f"{base}/complete", json={"upload": "x" + places["upload"], "etags": [etag]}, headers=headers
    )
    assert forged.status_code == 404
    for asked in (FileOffer("artifact", 1 << 50), FileOffer("secret", 5)):
        told = site.http.post(base, json={"what": asked.what, "bytes": asked.bytes}, headers=headers)
        assert told.status_code in (404, 409, 413)


def test_short_files_go_with_the_request_itself(site: Site) -> None:
    claimed = site.claimed(site.uploaded(b"model"))
    headers = {"Authorization": f"Bearer {site.hub.agent_token}"}
    base = f"{site.url}/api/agent/v1/attempts/{claimed.attempt}/uploads"
    places = site.http.post(base, json={"what": "log", "bytes": 5000}, headers=headers).json()
    assert places["urls"] == []
    over = site.http.post(base, json={"what": "log", "bytes": 65 << 20}, headers=headers)
    assert (over.status_code, over.json()["code"]) == (413, "TooLarge")
    site.door.finish(claimed.attempt, Outcome(summary={}))


def test_direct_transfers_need_a_store_that_speaks_s3(tmp_path: Path) -> None:
    with pytest.raises(errors.SpecInvalid, match="is no S3 store"):
        direct.DirectTransfers("gs://bucket/prefix")
