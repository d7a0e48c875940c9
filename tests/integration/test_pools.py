"""Whose devices get whose jobs and models: pools with an owner, attempts of one token, shares that widen nothing."""

from __future__ import annotations

import asyncio
import hashlib
import json
import secrets
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab import errors
from dynolab.agent.http import HubDoor
from dynolab.client.client import Client
from dynolab.client.settings import ClientConfig
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, ClaimRequest, DeviceOffer, Outcome, Renewal
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub

from .test_api import CONTENT, User, checked, in_database


class Person(User):
    """A user with an agent: an account of its own, not the administrator's."""

    def __init__(
        self, hub: RunningHub, email: str, token: str, agent_token: str, door: HubDoor, http: httpx.Client
    ) -> None:
        super().__init__(hub, token, http)
        self.email, self.agent_token, self.door = email, agent_token, door

    def ask(self, name: str, *, os: str = "1", number: int = 1, wait_s: float = 0.0, **more: Any) -> Assignment | None:
        """A question of the person's agent for a job of its device."""
        device = DeviceOffer(f"{self.email} {name} {number}", name, os, ("framework:onnx", "sandbox:test"))
        return self.door.claim(ClaimRequest(AGENT_PROTOCOL, replace(device, **more), wait_s))

    def revoke_all(self) -> None:
        """The account's tokens, the one that asks last, with what was opened with them."""
        for one in sorted(self.get("/tokens")["tokens"], key=lambda token: str(token["kind"])):
            checked(self.send("DELETE", f"/tokens/{one['id']}"), 204)

    def share(self, path: str, *emails: str) -> None:
        checked(self.send("PATCH", f"{path}/sharing", json={"add": list(emails)}), 200)

    def pool(self, name: str, owner: str) -> Any:
        return next((one for one in self.get("/pools", name=name)["pools"] if one["owner"] == owner), None)

    def change(self, name: str, status: int = 200, *, owner: str = "", **asked: Any) -> Any:
        pool = self.pool(name, owner or self.email)
        return checked(self.send("PATCH", f"/pools/{pool['id']}", json=asked), status)


Meet = Callable[[str], Person]


def introduce(hub: RunningHub, postgres: OwnDatabase, name: str, http: httpx.Client, stack: ExitStack) -> Person:
    """A person of a name that no other test has."""
    email = f"{name}-{secrets.token_hex(4)}@example.org"
    token, agent = (prefix + secrets.token_hex(20) for prefix in ("dl_", "dla_"))

    async def kept(connection: asyncpg.Connection) -> None:
        await connection.execute("INSERT INTO account (email) VALUES ($1)", email)
        for kind, secret in (("user", token), ("agent", agent)):
            await connection.execute(
                "INSERT INTO token (id, account_id, kind, digest) SELECT $1, id, $2, $3 FROM account WHERE email = $4",
                secrets.token_hex(6),
                kind,
                hashlib.sha256(secret.encode()).hexdigest(),
                email,
            )

    in_database(postgres, kept)
    door = stack.enter_context(closing(HubDoor(hub.url, agent)))
    return Person(hub, email, token, agent, door, http)


@pytest.fixture
def meet(hub: RunningHub, postgres: OwnDatabase) -> Iterator[Meet]:
    """Makes persons."""
    with ExitStack() as stack:
        http = stack.enter_context(httpx.Client(timeout=30))
        yield lambda name: introduce(hub, postgres, name, http, stack)


# ---- attempts belong to the token that claimed them ------------------------------------------------------------------


def test_another_agent_neither_reads_nor_says_anything_of_an_attempt(meet: Meet, tmp_path: Path) -> None:
    ana, bob = meet("ana"), meet("bob")
    ana.ask("phone")
    job = ana.submit(ana.model(), "phone")["id"]
    given = ana.ask("phone", wait_s=10)
    assert given is not None
    forged = tmp_path / "forged"
    forged.write_text(json.dumps({"inference": "1 ns"}), encoding="utf-8")
    refused: list[Callable[[], object]] = [
        lambda: bob.door.renew(given.attempt, Renewal({"stage": "compile"}, "forged")),
        lambda: bob.door.finish(given.attempt, Outcome(summary={"estimated_inference_time_ns": 1})),
        lambda: bob.door.finish(given.attempt, Outcome(error=errors.LoadFailed("forged").to_dict())),
        lambda: bob.door.fetch(given.attempt, "model", given.model, tmp_path),
        *(
            lambda what=what: bob.door.store(given.attempt, what, forged)
            for what in ("result", "output", "artifact", "log")
        ),
    ]
    for call in refused:
        with pytest.raises(errors.NotFound):
            call()
    shown = ana.get(f"/jobs/{job}")
    assert (shown["state"], shown["progress"], shown["summary"]) == ("preparing", None, None)
    assert ana.door.fetch(given.attempt, "model", given.model, tmp_path).read_bytes() == CONTENT
    ana.door.finish(given.attempt, Outcome(summary={"estimated_inference_time_ns": 7}))
    assert ana.get(f"/jobs/{job}")["summary"] == {"estimated_inference_time_ns": 7}
    for call in refused:  # nor once it is over
        with pytest.raises(errors.NotFound):
            call()


def test_an_attempt_that_is_over_gives_nothing_more(meet: Meet, tmp_path: Path) -> None:
    ana = meet("ana")
    ana.ask("phone")
    ana.submit(ana.model(), "phone")
    given = ana.ask("phone", wait_s=10)
    assert given is not None
    ana.door.finish(given.attempt, Outcome())
    with pytest.raises(errors.Conflict):
        ana.door.fetch(given.attempt, "model", given.model, tmp_path)


# ---- pools -----------------------------------------------------------------------------------------------------------


def test_a_device_of_the_same_name_of_somebody_else_gets_nothing(meet: Meet) -> None:
    ana, bob = meet("ana"), meet("bob")
    ana.ask("phone")
    assert bob.ask("phone", os="999") is None
    assert bob.ask("phone", number=2) is None
    job = ana.submit(ana.model(), "phone")
    assert job["device"]["os"] == "1", "the newer system is another's"
    assert bob.ask("phone", os="999") is None
    assert bob.ask("phone", number=2) is None
    given = ana.ask("phone", wait_s=10)
    assert given is not None
    assert given.job == job["id"]


def test_devices_of_others_are_not_told_of(meet: Meet) -> None:
    ana, bob = meet("ana"), meet("bob")
    ana.ask("hidden")
    board = f"{ana.email} hidden 1"
    assert [one["name"] for one in ana.get("/devices", name="hidden")["devices"]] == ["hidden"]
    assert bob.get("/devices", name="hidden")["devices"] == []
    assert bob.pool("hidden", ana.email) is None
    assert ana.get(f"/devices/{board}")["id"] == board
    bob.refused("GET", f"/devices/{board}", 404)
    bob.refused("POST", "/jobs", 404, {"model_id": bob.model(), "device": {"name": "hidden"}})


def test_jobs_go_to_anothers_devices_where_both_sides_want_it(meet: Meet) -> None:
    ana, bob = meet("ana"), meet("bob")
    bob.ask("lab")
    model = ana.model()
    asked = {"model_id": model, "device": {"name": "lab"}}
    ana.refused("POST", "/jobs", 404, asked)
    bob.change("lab", let_send=[ana.email])
    told = ana.refused("POST", "/jobs", 403, asked)
    assert bob.email in told["message"]
    assert f"devices trust {bob.email}" in told["hint"]
    assert ana.get("/devices", name="lab")["devices"] == []
    assert ana.pool("lab", bob.email)["trusted"] is False
    checked(ana.send("POST", "/trusted", json={"owner": bob.email}), 200)
    [found] = ana.get("/devices", name="lab")["devices"]
    assert found["owner"] == bob.email
    job = ana.submit(model, "lab")["id"]
    given = bob.ask("lab", wait_s=10)
    assert given is not None
    assert given.job == job


def test_a_job_chooses_between_the_devices_of_one_name_of_several_owners(meet: Meet, hub: RunningHub) -> None:
    ana, bob, eve = meet("ana"), meet("bob"), meet("eve")
    ana.ask("phone")
    [alone] = ana.get("/devices", name="phone")["devices"]
    assert not [one for one in alone["attributes"] if one.startswith("owner:")], "its name is enough"
    for one in (bob, eve):
        one.ask("phone")
        one.change("phone", let_send=[ana.email])
        checked(ana.send("POST", "/trusted", json={"owner": one.email}), 200)
    listed = ana.get("/devices", name="phone")["devices"]
    assert [[name for name in one["attributes"] if name.startswith("owner:")] for one in listed] == [
        [f"owner:{one['owner']}"] for one in listed
    ]
    assert {one["owner"] for one in listed} == {ana.email, bob.email, eve.email}
    model, asked = ana.model(), {"name": "phone", "attributes": [f"owner:{bob.email}"]}
    [found] = ana.get("/devices", name="phone", attribute=asked["attributes"])["devices"]
    assert found["owner"] == bob.email
    chosen = ana.post("/jobs", {"model_id": model, "device": asked})
    official = httpx.get(
        f"{hub.url}/api/v1/devices/", params={"name": "phone"}, headers={"Authorization": f"token {ana.token}"}
    )
    devices = pb.DeviceList.FromString(official.content).devices
    [bobs] = [one for one in devices if f"owner:{bob.email}" in one.attributes]
    message = pb.Job()
    message.profile_job.model.model_id = model
    message.profile_job.device.CopyFrom(bobs)
    made = httpx.post(
        f"{hub.url}/api/v1/jobs/", content=message.SerializeToString(), headers={"Authorization": f"token {ana.token}"}
    )
    again = ana.post(f"/jobs/{chosen['id']}/rerun")
    plain = ana.submit(model, "phone")
    assert ana.ask("phone", wait_s=10).job == plain["id"], "its own go first"  # type: ignore[union-attr] # None has no job, which fails too
    assert ana.ask("phone") is None
    assert eve.ask("phone") is None
    given = [bob.ask("phone", number=number, wait_s=10) for number in (1, 2, 3)]
    wanted = {chosen["id"], pb.CreateUpdateResponse.FromString(made.content).id, again["id"]}
    assert {one.job for one in given if one is not None} == wanted


def test_no_agent_says_whose_pool_its_device_is_in(meet: Meet) -> None:
    ana, eve = meet("ana"), meet("eve")
    with pytest.raises(errors.SpecInvalid, match="is the hub's to tell"):
        eve.ask("phone", attributes=(f"owner:{ana.email}", "sandbox:test"))
    ana.ask("phone")
    asked = {"model_id": ana.model(), "device": {"name": "phone", "attributes": [f"owner:{eve.email}"]}}
    assert "owner:" in ana.refused("POST", "/jobs", 404, asked)["message"]


def test_trust_alone_opens_no_pool(meet: Meet) -> None:
    ana, bob = meet("ana"), meet("bob")
    bob.ask("lab")
    checked(ana.send("POST", "/trusted", json={"owner": bob.email}), 200)
    ana.refused("POST", "/jobs", 404, {"model_id": ana.model(), "device": {"name": "lab"}})


def test_a_pool_that_its_owner_opens_still_gets_no_models_of_who_does_not_trust_it(meet: Meet) -> None:
    ana, bob = meet("ana"), meet("bob")
    bob.ask("bait")
    bob.change("bait", is_open=True)
    ana.refused("POST", "/jobs", 403, {"model_id": ana.model(), "device": {"name": "bait"}})
    ana.refused(
        "POST", "/jobs", 403, {"model_id": ana.model(), "device": {"attributes": ["framework:onnx"], "name": "bait"}}
    )


@pytest.mark.parametrize("end", ["grant", "trust", "private"])
def test_jobs_that_wait_where_they_may_not_any_more_fail_and_say_so(meet: Meet, end: str) -> None:
    ana, bob = meet("ana"), meet("bob")
    bob.ask("lab")
    bob.change("lab", **({"is_open": True} if end == "private" else {"let_send": [ana.email]}))
    checked(ana.send("POST", "/trusted", json={"owner": bob.email}), 200)
    job = ana.submit(ana.model(), "lab")["id"]
    if end == "trust":
        checked(ana.send("DELETE", f"/trusted/{bob.email}"), 204)
    else:
        bob.change("lab", **({"is_open": False} if end == "private" else {"remove": [ana.email]}))
    shown = ana.get(f"/jobs/{job}")
    assert (shown["state"], shown["failure"]["code"]) == ("failed", "Forbidden")
    assert bob.ask("lab") is None


def test_only_who_was_let_in_joins_a_pool_and_who_is_put_out_gets_no_more(meet: Meet) -> None:
    ana, bob, eve = meet("ana"), meet("bob"), meet("eve")
    ana.ask("farm")
    with pytest.raises(errors.Forbidden, match="may not bring devices"):
        eve.ask("farm", join=ana.email)
    with pytest.raises(errors.Forbidden):
        eve.ask("farm", join="nobody@example.org")
    ana.change("farm", let_join=[bob.email])
    assert bob.ask("farm", join=ana.email) is None
    model = ana.model()
    first = ana.submit(model, "farm")["id"]
    given = bob.ask("farm", join=ana.email, wait_s=10)
    assert given is not None
    assert given.job == first
    bob.door.finish(given.attempt, Outcome())
    ana.change("farm", remove=[bob.email])
    second = ana.submit(model, "farm")["id"]
    with pytest.raises(errors.Forbidden):
        bob.ask("farm", join=ana.email)
    assert ana.get(f"/jobs/{second}")["state"] == "queued"
    assert eve.ask("farm") is None, "a pool of her own of the same name"


def test_a_pool_is_changed_by_its_owner_and_administrators_alone(meet: Meet, hub: RunningHub) -> None:
    ana, bob, eve = meet("ana"), meet("bob"), meet("eve")
    ana.ask("mine")
    pool = ana.pool("mine", ana.email)
    grab = {"let_send": [eve.email], "let_join": [eve.email], "is_open": True}
    eve.refused("PATCH", f"/pools/{pool['id']}", 404, grab)
    ana.change("mine", let_send=[bob.email])
    bob.refused("PATCH", f"/pools/{pool['id']}", 403, {"let_join": [bob.email]})
    assert bob.pool("mine", ana.email)["senders"] == [], "whom else it was granted is not told"
    with httpx.Client(timeout=30) as http:
        admin = Person(hub, "admin@localhost", hub.token, hub.agent_token, ana.door, http)
        changed = admin.change("mine", owner=ana.email, remove=[bob.email])
    assert changed["senders"] == []
    for wrong in ({"let_send": ["nobody"]}, {"let_send": ["x@y"] * 101}, {"let_send": ["a" * 300 + "@example.org"]}):
        ana.refused("PATCH", f"/pools/{pool['id']}", 422, wrong)
    ana.refused("POST", "/trusted", 404, {"owner": "nobody@example.org"})
    ana.refused("DELETE", f"/trusted/{eve.email}", 404)


def test_the_administrators_devices_are_open_to_all_and_closed_in_one_step(meet: Meet, hub: RunningHub) -> None:
    ana = meet("ana")
    with httpx.Client(timeout=30) as http, closing(HubDoor(hub.url, hub.agent_token)) as door:
        admin = Person(hub, "admin@localhost", hub.token, hub.agent_token, door, http)
        admin.ask("house")
        job = ana.submit(ana.model(), "house")["id"]
        given = admin.ask("house", wait_s=10)
        assert given is not None
        assert given.job == job
        admin.change("house", is_open=False)
        ana.refused("POST", "/jobs", 404, {"model_id": ana.model(), "device": {"name": "house"}})


def test_a_device_without_a_sandbox_takes_only_jobs_of_who_serves_it(meet: Meet) -> None:
    ana, bob = meet("ana"), meet("bob")
    bare = {"attributes": ("framework:onnx", "sandbox:none")}
    bob.ask("bare", **bare)
    bob.change("bare", let_send=[ana.email])
    checked(ana.send("POST", "/trusted", json={"owner": bob.email}), 200)
    told = ana.refused("POST", "/jobs", 403, {"model_id": ana.model(), "device": {"name": "bare"}})
    assert "sandbox" in told["message"]
    bob.ask("bare", number=2)  # a board with one
    theirs, own = ana.submit(ana.model(), "bare")["id"], bob.submit(bob.model(), "bare")["id"]
    given = bob.ask("bare", wait_s=10, **bare)
    assert given is not None
    assert given.job == own
    bob.door.finish(given.attempt, Outcome())
    assert bob.ask("bare", **bare) is None
    given = bob.ask("bare", number=2, wait_s=10)
    assert given is not None
    assert given.job == theirs


def test_who_joined_without_a_sandbox_does_not_see_the_owners_jobs(meet: Meet) -> None:
    ana, bob = meet("ana"), meet("bob")
    ana.ask("farm")
    ana.change("farm", let_join=[bob.email])
    assert bob.ask("farm", join=ana.email, attributes=("sandbox:none",)) is None
    job = ana.submit(ana.model(), "farm")["id"]
    assert bob.ask("farm", join=ana.email, attributes=("sandbox:none",)) is None
    given = ana.ask("farm", wait_s=10)
    assert given is not None
    assert given.job == job


# ---- shares ----------------------------------------------------------------------------------------------------------


def test_sharing_a_job_shares_nothing_that_is_not_the_sharers(meet: Meet) -> None:
    ana, bob, eve = meet("ana"), meet("bob"), meet("eve")
    bob.ask("phone")
    model = ana.model()
    ana.share(f"/models/{model}", bob.email)
    job = bob.submit(model, "phone")["id"]
    bob.share(f"/jobs/{job}", eve.email)
    assert eve.get(f"/jobs/{job}")["owner"] == bob.email
    for path in ("", "/download", "/sharing"):
        eve.refused("GET", f"/models/{model}{path}", 404)
    assert eve.get("/models")["models"] == []
    eve.refused("POST", f"/jobs/{job}/rerun", 404)
    checked(bob.send("DELETE", f"/jobs/{job}/sharing"), 204)
    eve.refused("GET", f"/jobs/{job}", 404)
    assert ana.get(f"/models/{model}/sharing")["emails"] == [bob.email], "the owner's shares stay"
    assert bob.get(f"/models/{model}")["id"] == model


def test_the_end_of_a_jobs_sharing_takes_only_what_it_brought(meet: Meet) -> None:
    ana, bob, eve = meet("ana"), meet("bob"), meet("eve")
    ana.ask("phone")
    model = ana.model()
    ana.share(f"/models/{model}", bob.email)
    first, second = (ana.submit(model, "phone")["id"] for _ in range(2))
    for job in (first, second):
        ana.share(f"/jobs/{job}", bob.email, eve.email)
    checked(ana.send("DELETE", f"/jobs/{first}/sharing"), 204)
    assert eve.get(f"/models/{model}")["id"] == model, "the other job brought it too"
    checked(ana.send("PATCH", f"/jobs/{second}/sharing", json={"remove": [eve.email]}), 200)
    eve.refused("GET", f"/models/{model}", 404)
    assert bob.get(f"/models/{model}")["id"] == model, "shared for itself"
    assert ana.get(f"/models/{model}/sharing")["emails"] == [bob.email]


def test_what_a_shared_job_makes_is_shared_as_well(meet: Meet, tmp_path: Path) -> None:
    ana, bob = meet("ana"), meet("bob")
    ana.ask("phone")
    data = ana.post("/datasets", {"name": "numbers"})["id"]
    ana.upload("datasets", data)
    job = ana.submit(ana.model(), "phone", kind="inference", dataset_id=data)["id"]
    ana.share(f"/jobs/{job}", bob.email)
    given = ana.ask("phone", wait_s=10)
    assert given is not None
    (tmp_path / "outputs").write_bytes(b"outputs")
    ana.door.store(given.attempt, "output", tmp_path / "outputs")
    ana.door.finish(given.attempt, Outcome())
    made = bob.get(f"/jobs/{job}")["output_dataset_id"]
    assert httpx.get(bob.get(f"/datasets/{made}/download")["url"], timeout=30).content == b"outputs"
    checked(ana.send("DELETE", f"/jobs/{job}/sharing"), 204)
    bob.refused("GET", f"/datasets/{made}", 404)


def test_jobs_on_a_model_that_is_not_shared_any_more_fail_and_its_owner_may_delete_it(meet: Meet) -> None:
    ana, bob = meet("ana"), meet("bob")
    bob.ask("phone")
    for end in ("sharing", ""):
        model = ana.model()
        ana.share(f"/models/{model}", bob.email)
        job = bob.submit(model, "phone")["id"]
        checked(ana.send("DELETE", f"/models/{model}/{end}".rstrip("/")), 204)
        shown = bob.get(f"/jobs/{job}")
        assert (shown["state"], shown["failure"]["code"]) == ("failed", "Forbidden")
    assert bob.ask("phone") is None


def test_an_address_of_a_file_ends_with_access_to_it_and_with_the_token(meet: Meet) -> None:
    ana, bob = meet("ana"), meet("bob")
    model = ana.model()
    ana.share(f"/models/{model}", bob.email)
    own, shared = (one.get(f"/models/{model}/download")["url"] for one in (ana, bob))
    assert [httpx.get(url, timeout=30).content for url in (own, shared)] == [CONTENT, CONTENT]
    checked(ana.send("DELETE", f"/models/{model}/sharing"), 204)
    assert httpx.get(shared, timeout=30).status_code == 404
    assert httpx.get(own, timeout=30).content == CONTENT
    fresh = ana.post("/tokens", {"label": "short"})
    other = User(ana.hub, fresh["secret"], ana.http)
    read = other.get(f"/models/{model}/download")["url"]
    part = other.post(f"/models/{other.post('/models', {'kind': 'onnx'})['id']}/uploads", {"size": 3})["urls"][0]
    checked(ana.send("DELETE", f"/tokens/{fresh['id']}"), 204)
    assert httpx.get(read, timeout=30).status_code == 404
    assert httpx.put(part, content=b"abc", timeout=30).status_code == 404


def test_an_address_is_for_what_it_was_signed_for(meet: Meet) -> None:
    ana = meet("ana")
    model = ana.model()
    read = ana.get(f"/models/{model}/download")["url"]
    token = read.split("/blobs/")[1].split("/")[0]
    assert httpx.put(f"{ana.hub.url}/files/parts/{token}", content=b"x", timeout=30).status_code == 404
    part = ana.post(f"/models/{ana.post('/models', {'kind': 'onnx'})['id']}/uploads", {"size": 3})["urls"][0]
    assert httpx.get(part.replace("/parts/", "/blobs/") + "/x", timeout=30).status_code == 404


# ---- what agents say -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "end",
    [
        b'{"summary": {"a": ' + b"[" * 400 + b"]" * 400 + b"}}",
        b'{"summary": {"estimated_inference_time_ns": ' + b"9" * 4000 + b"}}",
        b'{"summary": {"estimated_inference_time_ns": NaN}}',
        b'{"error": {"code": "WorkerCrashed", "details": {"a": ' + b"[" * 400 + b"]" * 400 + b"}}}",
        b'{"summary": {"\\u0041": ' + b"[" * 490 + b"]" * 490 + b"}}",
    ],
    ids=lambda end: end[:40].decode(),
)
def test_what_an_agent_says_of_a_jobs_end_cannot_spoil_the_lists_of_others(meet: Meet, end: bytes) -> None:
    ana, bob = meet("ana"), meet("bob")
    bob.ask("phone")
    job = bob.submit(bob.model(), "phone")["id"]
    given = bob.ask("phone", wait_s=10)
    assert given is not None
    bob.share(f"/jobs/{job}", ana.email)
    headers = {"Authorization": f"Bearer {bob.agent_token}", "Content-Type": "application/json"}
    url = f"{bob.hub.url}/api/agent/v1/attempts/{given.attempt}/finish"
    assert httpx.post(url, content=end, headers=headers, timeout=30).status_code == 422
    assert ana.get("/jobs")["jobs"][0]["state"] == "preparing"
    odd = b'{"summary": {"estimated_inference_time_ns": "<b>", "inference_memory_peak_bytes": [[1]]}, "error": {"code": 5, "message": ["x"], "hint": {}}}'
    assert httpx.post(url, content=odd, headers=headers, timeout=30).status_code == 204
    assert [one["state"] for one in ana.get("/jobs")["jobs"]] == ["failed"]
    assert ana.get(f"/jobs/{job}")["failure"]["message"] == "['x']"


def test_a_forged_result_with_numbers_without_end_is_no_profile(meet: Meet) -> None:
    bob = meet("bob")
    bob.ask("phone")
    job = bob.submit(bob.model(), "phone")["id"]
    given = bob.ask("phone", wait_s=10)
    assert given is not None
    url, headers = (
        f"{bob.hub.url}/api/agent/v1/files/result/{given.attempt}",
        {"Authorization": f"Bearer {bob.agent_token}"},
    )
    httpx.put(url, content=b'{"schema_version": ' + b"9" * 4200 + b"}", headers=headers, timeout=30).raise_for_status()
    bob.door.finish(given.attempt, Outcome())
    page = httpx.get(
        f"{bob.hub.url}/api/v1/jobs/{job}/result/", headers={"Authorization": f"token {bob.token}"}, timeout=30
    )
    assert page.status_code in (400, 404, 422), page.text


def test_an_account_has_so_many_devices_and_no_more(meet: Meet, postgres: OwnDatabase) -> None:
    from dynolab.hub.usecases.announce_device import DEVICES_MOST

    ana = meet("ana")
    ana.ask("crowd", number=0)

    async def crowd(connection: asyncpg.Connection) -> None:  # as if each had been announced
        await connection.execute(
            "INSERT INTO device (id, token_id, pool_id, name, os)"
            " SELECT id || n, token_id, pool_id, name, os FROM device, generate_series(2, $2) n WHERE id = $1",
            f"{ana.email} crowd 0",
            DEVICES_MOST - 1,
        )

    in_database(postgres, crowd)
    assert ana.ask("crowd", number=1) is None, "the last one that fits"
    with pytest.raises(errors.SpecInvalid, match="is the most"):
        ana.ask("crowd", number=2)
    assert ana.ask("crowd", number=0, os="2") is None, "those that are there stay, and may change"


@pytest.mark.parametrize("end", ["pool", "trust"])
def test_who_is_shut_out_amid_a_job_gets_and_says_nothing_more_of_it(meet: Meet, tmp_path: Path, end: str) -> None:
    ana, bob = meet("ana"), meet("bob")
    host, guest = (ana, bob) if end == "pool" else (bob, bob)
    host.ask("farm")
    if end == "pool":
        ana.change("farm", let_join=[bob.email])
        bob.ask("farm", join=ana.email)
    else:
        bob.change("farm", let_send=[ana.email])
        checked(ana.send("POST", "/trusted", json={"owner": bob.email}), 200)
    job = ana.submit(ana.model(), "farm")["id"]
    more = {"join": ana.email} if end == "pool" else {}
    given = guest.ask("farm", wait_s=10, **more)
    assert given is not None
    if end == "pool":
        ana.change("farm", remove=[bob.email])
    else:
        checked(ana.send("DELETE", f"/trusted/{bob.email}"), 204)
    for call in (
        lambda: bob.door.fetch(given.attempt, "model", given.model, tmp_path),
        lambda: bob.door.renew(given.attempt, Renewal()),
        lambda: bob.door.finish(given.attempt, Outcome(summary={"estimated_inference_time_ns": 1})),
    ):
        with pytest.raises(errors.Conflict):
            call()
    shown = ana.get(f"/jobs/{job}")
    assert (shown["state"], shown["summary"]) == ("queued" if end == "pool" else "failed", None)


# ---- access that ends while it is used -------------------------------------------------------------------------------


def submitted_while(postgres: OwnDatabase, submit: Callable[[], httpx.Response], *ending: str) -> httpx.Response:
    """What a submission is answered that came while a transaction with these statements was not committed yet."""

    answers = []

    async def meanwhile(connection: asyncpg.Connection) -> None:
        async with connection.transaction():
            for statement in ending:
                await connection.execute(statement)
            answer = asyncio.create_task(asyncio.to_thread(submit))
            while not answer.done() and not await asyncio.to_thread(postgres.waiting):
                await asyncio.sleep(0.02)
        answers.append(await answer)

    in_database(postgres, meanwhile)
    return answers[0]


def test_a_job_that_waited_for_the_end_of_a_sharing_gets_nothing(meet: Meet, postgres: OwnDatabase) -> None:
    ana, bob = meet("ana"), meet("bob")
    bob.ask("phone")
    model = ana.model()
    ana.share(f"/models/{model}", bob.email)
    job = {"kind": "profile", "model_id": model, "device": {"name": "phone"}}
    locked = f"SELECT 1 FROM model WHERE id = '{model}' FOR UPDATE"
    ended = f"DELETE FROM share WHERE target_id = '{model}'"
    checked(submitted_while(postgres, lambda: bob.send("POST", "/jobs", json=job), locked, ended), 404)
    assert bob.ask("phone", wait_s=1) is None


def test_a_job_that_waited_for_the_closing_of_a_pool_is_refused(meet: Meet, postgres: OwnDatabase) -> None:
    ana, bob = meet("ana"), meet("bob")
    ana.ask("phone")
    ana.change("phone", let_send=[bob.email])
    checked(bob.send("POST", "/trusted", json={"owner": ana.email}), 200)
    job = {"kind": "profile", "model_id": bob.model(), "device": {"name": "phone"}}
    pool = ana.pool("phone", ana.email)["id"]
    locked = f"SELECT 1 FROM pool WHERE id = '{pool}' FOR UPDATE"
    closed = f"DELETE FROM pool_grant WHERE pool_id = '{pool}'"
    checked(submitted_while(postgres, lambda: bob.send("POST", "/jobs", json=job), locked, closed), 404)
    assert ana.ask("phone", wait_s=1) is None


def test_a_log_of_anothers_device_gives_a_terminal_no_orders(meet: Meet, tmp_path: Path) -> None:
    ana, bob = meet("ana"), meet("bob")
    bob.ask("phone")
    job = bob.submit(bob.model(), "phone")["id"]
    given = bob.ask("phone", wait_s=10)
    assert given is not None
    written = tmp_path / "log"
    written.write_bytes(b"one\x1b]0;mine\x07\ttwo\n\x1b[31mthree\xc2\x9b")
    bob.door.store(given.attempt, "log", written)
    bob.door.finish(given.attempt, Outcome(error=errors.LoadFailed("no").to_dict()))
    bob.share(f"/jobs/{job}", ana.email)
    with closing(Client(ClientConfig(ana.token, ana.hub.url, verbose=False))) as client:
        assert client.get_job(job).log() == "one\ufffd]0;mine\ufffd\ttwo\nthree\ufffd"
