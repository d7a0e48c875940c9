"""The JSON API through HTTP, against a real hub and a real PostgreSQL; agents are this test's own."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

import asyncpg

from dynolab import errors
from dynolab.agent.http import HubDoor
from dynolab.hub.app import open_hub
from dynolab.hub.settings import Settings
from dynolab.hub.usecases.sweep_files import sweep_files
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, ClaimRequest, DeviceOffer, Outcome, Renewal
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

CONTENT = b"a model, or so it says" * 1000


@pytest.fixture
def user(hub: RunningHub) -> Iterator[User]:
    with httpx.Client(timeout=30) as http:
        yield User(hub, hub.token, http)


@pytest.fixture
def stranger(hub: RunningHub, postgres: OwnDatabase) -> Iterator[User]:
    """Another user."""
    token = f"dl_stranger{time.monotonic_ns()}"

    async def make(connection: asyncpg.Connection) -> None:
        email = "stranger@example.org"
        await connection.execute("INSERT INTO account (email) VALUES ($1) ON CONFLICT DO NOTHING", email)
        await connection.execute(
            "INSERT INTO token (id, account_id, kind, digest) SELECT $1, id, 'user', $2 FROM account WHERE email = $3",
            f"t{time.monotonic_ns()}",
            hashlib.sha256(token.encode()).hexdigest(),
            email,
        )

    in_database(postgres, make)
    with httpx.Client(timeout=30) as http:
        yield User(hub, token, http)


def in_database(postgres: OwnDatabase, do: Callable[[asyncpg.Connection], Awaitable[None]]) -> None:
    async def connected() -> None:
        connection = await asyncpg.connect(postgres.dsn)
        await do(connection)
        await connection.close()

    asyncio.run(connected())


class User:
    """A user of the API. Calls give the reply's JSON and check its status."""

    def __init__(self, hub: RunningHub, token: str, http: httpx.Client) -> None:
        self.hub, self.token, self.http = hub, token, http

    def send(self, method: str, path: str, **more: Any) -> httpx.Response:
        headers = {"Authorization": f"Bearer {self.token}", **more.pop("headers", {})}
        return self.http.request(method, f"{self.hub.url}/api/hub/v1{path}", headers=headers, timeout=30, **more)

    def get(self, path: str, **params: Any) -> Any:
        return checked(self.send("GET", path, params=params), 200)

    def post(self, path: str, body: Any = None, status: int = 201, **headers: str) -> Any:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return checked(self.send("POST", path, json=body, headers=named), status)

    def refused(self, method: str, path: str, status: int, body: Any = None, **more: Any) -> dict[str, Any]:
        """The error's document; each is of the one form."""
        if body is not None:
            more["json"] = body
        answer = self.send(method, path, **more)
        document = checked(answer, status)
        assert set(document) == {"code", "message", "hint", "details"}, document
        assert errors.from_dict(document).code == document["code"]
        return dict(document)

    def upload(self, kind: str, target_id: str, content: bytes = CONTENT) -> Any:
        begun = self.post(f"/{kind}/{target_id}/uploads", {"size": len(content)})
        assert begun["part_bytes"] > 0
        etags = [httpx.put(url, content=content, timeout=30).headers["etag"] for url in begun["urls"]]
        path = f"/{kind}/{target_id}/uploads/{begun['upload_id']}/complete"
        for _ in range(2):  # said twice, done once
            done = self.post(path, {"etags": etags}, 200)
        return done

    def model(self, name: str = "net") -> str:
        made = self.post("/models", {"name": name, "kind": "onnx"})
        assert (made["has_bytes"], made["size_bytes"]) == (False, None)
        done = self.upload("models", made["id"])
        assert (done["has_bytes"], done["size_bytes"]) == (True, len(CONTENT))
        return str(made["id"])

    def submit(self, model_id: str, device: str, **more: Any) -> dict[str, Any]:
        return dict(self.post("/jobs", {"model_id": model_id, "device": {"name": device}, **more}))


def checked(answer: httpx.Response, status: int) -> Any:
    assert answer.status_code == status, (answer.status_code, answer.text)
    return answer.json() if answer.content else None


def offer(name: str, number: int = 1) -> DeviceOffer:
    return DeviceOffer(id=f"{name}-{number}", name=name, os="1.0", attributes=("framework:onnx", "sandbox:test"))


def claim(door: HubDoor, name: str, wait_s: float = 0.0, number: int = 1) -> Assignment | None:
    return door.claim(ClaimRequest(AGENT_PROTOCOL, offer(name, number), wait_s))


def taken(door: HubDoor, name: str) -> Assignment:
    found = claim(door, name, 10)
    assert found is not None
    return found


def finished(user: User, door: HubDoor, name: str, folder: Path) -> str:
    """A job that is done, with a profile and a log."""
    claim(door, name)
    job_id = str(user.submit(user.model(), name)["id"])
    found = taken(door, name)
    (folder / "result").write_text(json.dumps({"profile": "whole", "text": "ü"}), encoding="utf-8")
    (folder / "log").write_text("a line\n", encoding="utf-8")
    for verb in ("result", "log"):
        door.store(found.attempt, verb, folder / verb)
    door.finish(found.attempt, Outcome(summary={"estimated_inference_time_ns": 1_500_000}))
    return job_id


def files(hub: RunningHub) -> set[Path]:
    return {path for path in (hub.data / "blobs").rglob("*") if path.is_file()}


# ---- who asks --------------------------------------------------------------------------------------------------------


def test_who_is_signed_in(user: User, stranger: User) -> None:
    assert user.get("/me")["email"] == "admin@localhost"
    assert stranger.get("/me")["email"] == "stranger@example.org"


def test_doors_are_for_their_own_tokens(hub: RunningHub, user: User) -> None:
    for token in (hub.agent_token, "dl_wrong", "", "x" * 10_000, "ü"):
        answer = httpx.get(
            f"{hub.url}/api/hub/v1/me", headers={"Authorization": f"token {token}".rstrip().encode()}, timeout=30
        )
        assert (answer.status_code, answer.json()["code"]) == (401, "Unauthorized")
    assert httpx.get(f"{hub.url}/api/hub/v1/jobs", timeout=30).status_code == 401
    wrong = HubDoor(hub.url, user.token)
    with pytest.raises(errors.Unauthorized):
        claim(wrong, "door")
    wrong.close()


def test_a_token_is_shown_once_and_stops_working_when_revoked(user: User, hub: RunningHub) -> None:
    made = user.post("/tokens", {"label": "notebook <b>"})
    assert made["kind"] == "user"
    with httpx.Client(timeout=30) as http:
        other = User(hub, made["secret"], http)
        assert other.get("/me") == {**user.get("/me"), "token_id": made["id"]}
        listed = {one["id"]: one for one in user.get("/tokens")["tokens"]}
        assert listed[made["id"]]["label"] == "notebook <b>"
        assert "secret" not in listed[made["id"]]
        for _ in range(2):  # said twice, done once
            checked(user.send("DELETE", f"/tokens/{made['id']}"), 204)
        other.refused("GET", "/me", 401)
    assert {one["id"]: one for one in user.get("/tokens")["tokens"]}[made["id"]]["revoked_at"]


def test_a_revoked_agent_is_sent_away_while_it_waits(user: User, hub: RunningHub) -> None:
    made = user.post("/tokens", {"kind": "agent"})
    agent = HubDoor(hub.url, made["secret"])
    assert claim(agent, "revoked") is None
    revoking = threading.Timer(0.5, lambda: user.send("DELETE", f"/tokens/{made['id']}"))
    revoking.start()
    start = time.monotonic()
    with pytest.raises(errors.Unauthorized):
        claim(agent, "revoked", 25)
    assert time.monotonic() - start < 20, "it did not wait to the end"
    revoking.join()
    agent.close()


def test_tokens_that_cannot_be(user: User, stranger: User) -> None:
    found = user.refused("POST", "/tokens", 422, {"kind": "root"})
    assert found["details"]["errors"][0]["field"] == "body.kind"
    assert found["details"]["errors"][0]["value"] == "root"
    made = user.post("/tokens", {})
    stranger.refused("DELETE", f"/tokens/{made['id']}", 404)
    assert made["id"] not in {one["id"] for one in stranger.get("/tokens")["tokens"]}


# ---- devices ---------------------------------------------------------------------------------------------------------


def test_devices_tell_how_busy_they_are(user: User, door: HubDoor) -> None:
    for number in (1, 2):
        claim(door, "load", number=number)
    model_id = user.model()
    for _ in range(2):
        user.submit(model_id, "load")
    found = taken(door, "load")
    [shown] = user.get("/devices", name="load", os="[1,2)", attribute="framework:onnx")["devices"]
    assert (shown["boards"], shown["busy"], shown["queued"], shown["os"]) == (2, 1, 1, "1.0")
    assert [user.get(f"/devices/load-{number}")["busy"] for number in (1, 2)] == [True, False]
    door.finish(found.attempt, Outcome())
    assert user.get("/devices/load-1")["busy"] is False
    assert user.get("/devices", name="no such")["devices"] == []
    user.refused("GET", "/devices/nobody", 404)
    assert "interval" in user.refused("GET", "/devices?os=[x", 422)["message"]


# ---- models and datasets ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("kind", "body"), [("models", {"kind": "tflite"}), ("datasets", {})])
def test_bytes_go_up_and_down(user: User, stranger: User, hub: RunningHub, kind: str, body: dict[str, Any]) -> None:
    before = files(hub)
    target_id = user.post(f"/{kind}", {"name": ".. x", **body})["id"]
    user.refused("GET", f"/{kind}/{target_id}/download", 409)
    user.upload(kind, target_id)
    user.refused("POST", f"/{kind}/{target_id}/uploads", 409, {"size": 1})
    where = user.get(f"/{kind}/{target_id}/download")
    assert (where["name"], where["bytes"]) == ("x" + {"models": ".tflite", "datasets": ".h5"}[kind], len(CONTENT))
    assert httpx.get(where["url"], timeout=30).content == CONTENT
    for method, path in (("GET", ""), ("GET", "/download"), ("DELETE", ""), ("GET", "/sharing")):
        stranger.refused(method, f"/{kind}/{target_id}{path}", 404)
    stranger.refused("POST", f"/{kind}/{target_id}/uploads", 404, {"size": 1})
    shared = checked(user.send("PATCH", f"/{kind}/{target_id}/sharing", json={"add": ["stranger@example.org"]}), 200)
    assert shared == {"emails": ["stranger@example.org"]} == user.get(f"/{kind}/{target_id}/sharing")
    assert stranger.get(f"/{kind}/{target_id}")["owner"] == "admin@localhost"
    for method, path in (("DELETE", ""), ("DELETE", "/sharing")):
        stranger.refused(method, f"/{kind}/{target_id}{path}", 403)
    stranger.refused("PATCH", f"/{kind}/{target_id}", 403, {"name": "mine"})
    for wrong in (" ", "a/b", "x" * 257):
        user.refused("PATCH", f"/{kind}/{target_id}", 422, {"name": wrong})
    renamed = checked(user.send("PATCH", f"/{kind}/{target_id}", json={"name": " of another kind "}), 200)
    assert renamed == user.get(f"/{kind}/{target_id}")
    assert renamed["name"] == "of another kind"
    assert [one["id"] for one in stranger.get(f"/{kind}", creator="admin@localhost")[kind]] == [target_id]
    assert stranger.get(f"/{kind}", creator="stranger@example.org")[kind] == []
    assert len(files(hub) - before) == 1
    checked(user.send("DELETE", f"/{kind}/{target_id}"), 204)
    assert files(hub) - before == set(), "the bytes are gone"
    assert httpx.get(where["url"], timeout=30).status_code == 404
    user.refused("DELETE", f"/{kind}/{target_id}", 404)
    user.refused("PATCH", f"/{kind}/{target_id}", 404, {"name": "gone"})
    stranger.refused("GET", f"/{kind}/{target_id}", 404)


def test_an_upload_that_was_begun_goes_with_its_model(user: User, hub: RunningHub) -> None:
    before = files(hub)
    model_id = user.post("/models", {"kind": "onnx"})["id"]
    begun = user.post(f"/models/{model_id}/uploads", {"size": 3})
    assert httpx.put(begun["urls"][0], content=b"abc", timeout=30).is_success
    assert len(files(hub) - before) == 1
    user.refused("POST", f"/models/{model_id}/uploads/unothing/complete", 409, {"etags": []})
    user.refused("POST", f"/models/{model_id}/uploads/{begun['upload_id']}/complete", 422, {"etags": ["wrong"]})
    checked(user.send("DELETE", f"/models/{model_id}"), 204)
    assert files(hub) - before == set()
    assert httpx.put(begun["urls"][0], content=b"abc", timeout=30).status_code == 404
    assert files(hub) - before == set()


def test_datasets_have_an_end_unless_they_are_permanent(user: User) -> None:
    assert user.post("/datasets", {"name": "a"})["expires_at"] is not None
    kept = user.post("/datasets", {"name": "b", "permanent": True})
    assert (kept["permanent"], kept["expires_at"]) == (True, None)


@pytest.mark.parametrize("kind", ["models", "datasets"])
def test_pages_hold_everything_once(user: User, kind: str) -> None:
    word = f"page{time.monotonic_ns()}"
    made = [
        user.post(f"/{kind}", {"name": f"{word} {number}", **({"kind": "onnx"} if kind == "models" else {})})["id"]
        for number in range(5)
    ]
    seen, before = [], {}
    while True:
        page = user.get(f"/{kind}", name=word.upper(), limit=2, **before)
        seen += [one["id"] for one in page[kind]]
        user.post(f"/{kind}", {"name": f"{word} later", **({"kind": "onnx"} if kind == "models" else {})})
        if page["next"] is None:
            break
        before = {"before": page["next"]}
    assert seen == made[::-1], "what came in between shifts nothing"
    assert user.get(f"/{kind}", name="%")[kind] == []
    for wrong in ("x", "w6Q=", "OTk5OQ==", "MDAwMS0wMS0wMVQwMDowMDowMCsyMzowMCBh"):
        user.refused("GET", f"/{kind}?before={wrong}", 422)


def test_a_model_that_a_live_job_uses_stays(user: User, door: HubDoor) -> None:
    claim(door, "uses")
    model_id = user.model("kept")
    job_id = user.submit(model_id, "uses")["id"]
    assert job_id in user.refused("DELETE", f"/models/{model_id}", 409)["message"]
    user.post(f"/jobs/{job_id}/cancel", status=200)
    checked(user.send("DELETE", f"/models/{model_id}"), 204)
    assert user.get(f"/jobs/{job_id}")["model_name"] == "kept", "the job keeps its model's name"
    user.refused("POST", f"/jobs/{job_id}/rerun", 404)


# ---- jobs ------------------------------------------------------------------------------------------------------------


def test_a_job_from_end_to_end(user: User, stranger: User, door: HubDoor, hub: RunningHub, tmp_path: Path) -> None:
    before = files(hub)
    job_id = finished(user, door, "round", tmp_path)
    shown = user.get(f"/jobs/{job_id}")
    assert (shown["state"], shown["name"], shown["queue_position"], shown["failure"]) == ("done", "net", None, None)
    assert shown["summary"] == {"estimated_inference_time_ns": 1_500_000}
    assert [(one["number"], one["state"], one["device_id"]) for one in shown["attempts"]] == [(1, "done", "round-1")]
    assert user.get(f"/jobs/{job_id}/profile") == {"profile": "whole", "text": "ü"}
    log = user.send("GET", f"/jobs/{job_id}/log")
    assert (log.text, log.headers["content-type"]) == ("a line\n", "text/plain; charset=utf-8")
    for path in ("", "/profile", "/log", "/events", "/sharing"):
        stranger.refused("GET", f"/jobs/{job_id}{path}", 404)
    checked(user.send("PATCH", f"/jobs/{job_id}", json={"name": "another"}), 200)
    user.refused("POST", f"/jobs/{job_id}/cancel", 409)
    again = user.post(f"/jobs/{job_id}/rerun")
    assert (again["name"], again["state"], again["model_id"]) == ("another", "queued", shown["model_id"])
    user.refused("DELETE", f"/jobs/{again['id']}", 409)
    user.refused("GET", f"/jobs/{again['id']}/profile", 404)
    user.refused("GET", f"/jobs/{again['id']}/log", 404)
    user.post(f"/jobs/{again['id']}/cancel", status=200)
    for one in (job_id, again["id"]):
        checked(user.send("DELETE", f"/jobs/{one}"), 204)
        user.refused("GET", f"/jobs/{one}", 404)
    checked(user.send("DELETE", f"/models/{shown['model_id']}"), 204)
    assert files(hub) - before == set()


def test_what_a_job_made_is_a_dataset_of_its_own(user: User, door: HubDoor, hub: RunningHub, tmp_path: Path) -> None:
    claim(door, "infer")
    model_id, data = user.model(), user.post("/datasets", {"name": "inputs"})["id"]
    user.upload("datasets", data)
    before = files(hub)
    (tmp_path / "output").write_bytes(b"inferred")
    made = []
    for _ in range(2):
        job = user.submit(model_id, "infer", kind="inference", dataset_id=data, measures=False)
        user.refused("DELETE", f"/datasets/{data}", 409)
        found = taken(door, "infer")
        assert found.dataset is not None
        assert (found.job, found.dataset.bytes, found.with_profile) == (job["id"], len(CONTENT), False)
        door.store(found.attempt, "output", tmp_path / "output")
        door.finish(found.attempt, Outcome())
        made.append((job["id"], user.get(f"/jobs/{job['id']}")["output_dataset_id"]))
    assert len(files(hub) - before) == 2
    for paths in (
        [f"/jobs/{made[0][0]}", f"/datasets/{made[0][1]}"],
        [f"/datasets/{made[1][1]}", f"/jobs/{made[1][0]}"],
    ):
        checked(user.send("DELETE", paths[0]), 204)
        if paths[0].startswith("/jobs"):
            assert httpx.get(user.get(f"{paths[1]}/download")["url"], timeout=30).content == b"inferred", (
                "the job's end is not its"
            )
        else:
            assert files(hub) == before, "its job kept its bytes"
        checked(user.send("DELETE", paths[1]), 204)
    assert files(hub) == before


def test_a_job_that_is_shared_is_read_and_not_changed(user: User, stranger: User, door: HubDoor) -> None:
    claim(door, "shared")
    job_id = user.submit(user.model(), "shared")["id"]
    checked(user.send("PATCH", f"/jobs/{job_id}/sharing", json={"add": ["stranger@example.org"]}), 200)
    assert stranger.get(f"/jobs/{job_id}")["owner"] == "admin@localhost"
    stranger.refused("PATCH", f"/jobs/{job_id}", 403, {"name": "mine"})
    stranger.refused("POST", f"/jobs/{job_id}/cancel", 403)
    stranger.refused("DELETE", f"/jobs/{job_id}", 403)
    assert stranger.post(f"/jobs/{job_id}/rerun")["owner"] == "stranger@example.org"
    user.refused("PATCH", f"/jobs/{job_id}/sharing", 422, {"add": ["nobody"]})
    checked(user.send("DELETE", f"/jobs/{job_id}/sharing"), 204)
    stranger.refused("GET", f"/jobs/{job_id}", 404)


def test_the_queue_tells_the_place_and_progress_is_shown(user: User, door: HubDoor) -> None:
    claim(door, "place")
    model_id = user.model()
    jobs = [user.submit(model_id, "place")["id"] for _ in range(3)]
    assert [user.get(f"/jobs/{one}")["queue_position"] for one in jobs] == [1, 2, 3]
    estimates = [user.get(f"/jobs/{one}") for one in jobs]
    assert [(one["estimated_start_s"], one["no_estimate"]) for one in estimates] == [
        (0, None),
        *[(None, "no-history")] * 2,
    ]
    found = taken(door, "place")
    assert found.job == jobs[0]
    door.renew(found.attempt, Renewal({"stage": "warm_load"}))
    shown = user.get(f"/jobs/{jobs[0]}")
    assert (shown["state"], shown["progress"], shown["queue_position"]) == ("running", {"stage": "warm_load"}, None)
    assert user.get(f"/jobs/{jobs[1]}")["queue_position"] == 1
    door.finish(found.attempt, Outcome(error=errors.LoadFailed("no such operator", hint="another").to_dict()))
    failed = user.get(f"/jobs/{jobs[0]}")
    assert (failed["state"], failed["failure"]["code"], failed["progress"]) == ("failed", "LoadFailed", None)


def test_the_same_key_is_the_same_job(user: User, stranger: User, door: HubDoor) -> None:
    claim(door, "key")
    model_id = user.model()
    body = {"model_id": model_id, "device": {"name": "key"}}
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.append(user.post("/jobs", body, Idempotency_Key="once")["id"]))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 4
    assert len(set(made)) == 1
    assert user.post("/jobs", body, Idempotency_Key="twice")["id"] not in made
    changed = {**body, "options": "--max_profiler_iterations 5"}
    assert "once" in user.refused("POST", "/jobs", 409, changed, headers={"Idempotency-Key": "once"})["message"]
    stranger.refused("POST", "/jobs", 404, body, headers={"Idempotency-Key": "once"})


def test_jobs_are_found_by_what_they_are(user: User, stranger: User, door: HubDoor) -> None:
    for name in ("find-a", "find-b"):
        claim(door, name)
    model_id = user.model()
    word = f"word{time.monotonic_ns()}"
    made = [user.submit(model_id, "find-a", name=f"{word} {number}")["id"] for number in range(3)]
    other = user.submit(model_id, "find-b", name=f"{word} other", project_id="p1")["id"]
    user.post(f"/jobs/{other}/cancel", status=200)

    def found(**wanted: Any) -> list[str]:
        return [one["id"] for one in user.get("/jobs", text=word, **wanted)["jobs"]]

    assert found() == [other, *made[::-1]]
    assert found(device="find-b") == found(state=["cancelled", "failed"]) == found(project="p1") == [other]
    assert found(model=model_id, kind="profile", creator="admin@localhost", state="queued") == made[::-1]
    assert found(model="mnothing") == found(creator="x@y") == found(kind="inference") == []
    assert [one["id"] for one in user.get("/jobs", text=other.upper())["jobs"]] == [other]
    first = user.get("/jobs", text=word, limit=3)
    assert [one["id"] for one in user.get("/jobs", text=word, limit=3, before=first["next"])["jobs"]] == made[:1]
    assert stranger.get("/jobs", text=word)["jobs"] == []
    assert user.refused("GET", "/jobs?state=over", 422)["details"]["errors"][0]["value"] == "over"
    user.refused("GET", "/jobs?limit=0", 422)
    user.refused("GET", "/jobs?limit=1000", 422)


def test_events_follow_a_job_to_its_end(user: User, door: HubDoor) -> None:
    claim(door, "watch")
    job_id = user.submit(user.model(), "watch")["id"]
    seen: list[list[tuple[str, Any]]] = [[], []]

    def follow(into: list[tuple[str, Any]]) -> None:
        headers = {"Authorization": f"Bearer {user.token}"}
        url = f"{user.hub.url}/api/hub/v1/jobs/{job_id}/events"
        with httpx.stream("GET", url, headers=headers, timeout=30) as answer:
            assert answer.headers["content-type"].startswith("text/event-stream")
            event = ""
            for line in answer.iter_lines():
                name, _, value = line.partition(": ")
                if name == "event":
                    event = value
                elif name == "data":
                    into.append((event, json.loads(value)))

    threads = [threading.Thread(target=follow, args=(into,)) for into in seen]
    for thread in threads:
        thread.start()
    until(lambda: all(seen), "the first event of both")
    found = taken(door, "watch")
    door.renew(found.attempt, Renewal({"stage": "first_load"}))
    until(lambda: all(("progress", {"stage": "first_load"}) in one for one in seen), "the progress at both")
    door.finish(found.attempt, Outcome(summary={"x": 1}))
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive(), "the stream ends with the job"
    for one in seen:
        assert one[0] == ("state", {"state": "queued", "attempts_made": 0})
        assert one[-1] == ("end", {"state": "done", "summary": {"x": 1}, "failure": None})
        assert ("state", {"state": "running", "attempts_made": 1}) in one


# ---- what does not fit -----------------------------------------------------------------------------------------------

NAMES = ["a/b", "a\0b", "a\nb", "x" * 10_000, "\ud800"]


@pytest.mark.parametrize("name", NAMES, ids=lambda name: ascii(name[:10]))
def test_names_that_cannot_be(user: User, name: str) -> None:
    for path, body in (("/models", {"kind": "onnx"}), ("/datasets", {}), ("/tokens", {"kind": "user"})):
        field = "label" if path == "/tokens" else "name"
        content = json.dumps({field: name, **body})
        answer = user.send("POST", path, content=content, headers={"Content-Type": "application/json"})
        assert checked(answer, 422)["code"] == "SpecInvalid"


@pytest.mark.parametrize(
    "name", ["..", "<script>alert(1)</script>".replace("/", ""), "ünï 模型", "'; DROP TABLE job; --"]
)
def test_odd_names_are_kept_as_they_are(user: User, name: str) -> None:
    made = user.post("/models", {"name": name, "kind": "onnx"})
    assert made["name"] == name
    user.upload("models", made["id"])
    assert set(user.get(f"/models/{made['id']}/download")["name"]) <= set(
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."
    )


def test_bodies_that_cannot_be(user: User) -> None:
    as_json = {"Content-Type": "application/json"}
    for content in (b"{", b"\xff", b"[]", b"null", b"", b'"x"', b"[" * 100_000, b'{"size": ' + b"9" * 5000 + b"}"):
        answer = user.send("POST", "/models", content=content, headers=as_json)
        assert checked(answer, 422)["code"] == "SpecInvalid", content[:20]
    found = user.refused("POST", "/models", 415, content=b'{"kind": "onnx"}', headers={"Content-Type": "text/plain"})
    assert "application/json" in found["hint"]
    assert user.refused("POST", "/models", 413, content=b" " * (5 << 20), headers=as_json)["code"] == "TooLarge"
    found = user.refused("POST", "/models", 422, {"kind": "onnx", "colour": "red"})
    assert found["details"]["errors"][0]["field"] == "body.colour"
    assert "onnx" in user.refused("POST", "/models", 422, {"kind": "wordperfect"})["hint"]
    model_id = user.post("/models", {"kind": "onnx"})["id"]
    for size in (-1, "5", 1.5, True, None):
        user.refused("POST", f"/models/{model_id}/uploads", 422, {"size": size})
    user.refused("POST", f"/models/{model_id}/uploads", 413, {"size": 1 << 70})


def test_jobs_that_cannot_be(user: User, door: HubDoor) -> None:
    claim(door, "cannot")
    model_id, empty = user.model(), user.post("/models", {"kind": "onnx"})["id"]
    good = {"model_id": model_id, "device": {"name": "cannot"}}
    for change, status, text in (
        ({"model_id": "mnothing"}, 404, "mnothing"),
        ({"model_id": empty}, 409, "no bytes"),
        ({"device": {"name": "toaster"}}, 404, "toaster"),
        ({"options": "--nonsense 1"}, 422, "nonsense"),
        ({"kind": "compile"}, 422, "toolchain"),
        ({"kind": "compile", "options": "--nonsense 1"}, 422, "nonsense"),
        ({"kind": "quantize"}, 422, "needs a dataset"),
        ({"kind": "inference"}, 422, "dataset"),
        ({"dataset_id": "dnothing"}, 404, "dnothing"),
        ({"name": "a/b"}, 422, "'/'"),
        ({"device": {"name": "cannot", "colour": 1}}, 422, "colour"),
    ):
        assert text in user.refused("POST", "/jobs", status, {**good, **change})["message"]
    job_id = user.submit(model_id, "cannot")["id"]
    user.refused("PATCH", f"/jobs/{job_id}", 422, {"name": " "})
    user.post(f"/jobs/{job_id}/cancel", status=200)


def test_addresses_that_are_none(user: User) -> None:
    assert user.refused("GET", "/nothing", 404)["code"] == "NotFound"
    assert user.send("PUT", "/me").status_code == 405
    for path in ("/jobs/a%00b", "/models?name=%00"):
        user.refused("GET", path, 422)
    for path in ("/jobs/..%2f..", "/jobs/" + "x" * 3000, "/models/%ff", "/devices/'"):
        user.refused("GET", path, 404)


# ---- its description -------------------------------------------------------------------------------------------------


def test_the_description_names_every_route_and_the_page_loads_nothing(hub: RunningHub) -> None:
    document = httpx.get(f"{hub.url}/api/hub/v1/openapi.json", timeout=30).json()
    for path, verbs in document["paths"].items():
        for verb, route in verbs.items():
            assert route["description"], (verb, path)
            wrong = route["responses"]["422"]["content"]["application/json"]["schema"]
            assert wrong == {"$ref": "#/components/schemas/ErrorBody"}
    assert {"/jobs/{id}/events", "/models/{id}/uploads", "/tokens/{id}", "/devices/{id}"} <= set(document["paths"])
    page = httpx.get(f"{hub.url}/api/hub/v1/docs", timeout=30)
    assert page.status_code == 200
    assert "/jobs/{id}/rerun" in page.text
    assert "://" not in page.text
    assert "<script" not in page.text


# ---- sweeping and bounds ---------------------------------------------------------------------------------------------


def test_the_sweep_takes_what_nobody_needs_and_nothing_else(
    user: User, hub: RunningHub, postgres: OwnDatabase, door: HubDoor, tmp_path: Path
) -> None:
    job_id = finished(user, door, "sweep", tmp_path)
    kept = user.model()
    data, gone = (user.post("/datasets", {"name": name})["id"] for name in ("kept", "gone"))
    for one in (data, gone):
        user.upload("datasets", one, b"data")
    before = files(hub)
    given_up = user.post("/models", {"kind": "onnx"})["id"]
    begun = user.post(f"/models/{given_up}/uploads", {"size": 3})
    assert httpx.put(begun["urls"][0], content=b"abc", timeout=30).is_success

    async def age(connection: asyncpg.Connection) -> None:
        await connection.execute("UPDATE upload SET created_at = created_at - interval '25 hours'")
        await connection.execute("UPDATE blob SET created_at = created_at - interval '25 hours'")
        await connection.execute("UPDATE dataset SET expires_at = now() WHERE id = $1", gone)

    in_database(postgres, age)

    async def sweep() -> None:
        settings = Settings(hub.data)
        url = postgres.url
        replicas = [await open_hub(settings, url, postgres.dsn) for _ in range(2)]
        await asyncio.gather(*(sweep_files(one) for one in replicas))
        await sweep_files(replicas[0])
        for one in replicas:
            await one.database.close()

    asyncio.run(sweep())
    assert len(before - files(hub)) == 1, "the bytes of the dataset past its end"
    assert files(hub) <= before, "the part of the upload that was given up"
    user.refused("GET", f"/datasets/{gone}", 404)
    for path in (f"/models/{kept}/download", f"/datasets/{data}/download"):
        assert httpx.get(user.get(path)["url"], timeout=30).is_success
    assert user.get(f"/jobs/{job_id}/profile")
    user.refused("POST", f"/models/{given_up}/uploads/{begun['upload_id']}/complete", 409, {"etags": []})


def test_a_hub_that_is_full_says_so(tmp_path: Path) -> None:
    bound = {"DYNOLAB_DATA_MAX_BYTES": "30000"}
    with running_hub(tmp_path, "--no-agent", environment=bound) as hub, httpx.Client(timeout=30) as http:
        user = User(hub, hub.token, http)
        first = user.model()
        second = user.post("/models", {"kind": "onnx"})["id"]
        full = user.refused("POST", f"/models/{second}/uploads", 507, {"size": len(CONTENT)})
        assert full["code"] == "StorageFull"
        assert full["details"] == {"asked_bytes": 22000, "used_bytes": 22000, "most_bytes": 30000}
        checked(user.send("DELETE", f"/models/{first}"), 204)
        user.upload("models", second)
        assert not [path for path in (hub.data / "blobs").rglob("*") if path.is_dir() and not any(path.iterdir())]
        what_attempts_leave_counts(hub, user, second)


def what_attempts_leave_counts(hub: RunningHub, user: User, model_id: str) -> None:
    """To the last byte, and also where several leave something at once."""
    left, names = 30_000 - len(CONTENT), [f"board {number}" for number in range(8)]
    with closing(HubDoor(hub.url, hub.agent_token)) as door:
        attempts = []
        for name in names:
            claim(door, name)
            user.submit(model_id, name)
            attempts.append(taken(door, name).attempt)
        before = files(hub)

        def leave(attempt: str, verb: str, size: int) -> int:
            url, token = (
                f"{hub.url}/api/agent/v1/files/{verb}/{attempt}",
                {"Authorization": f"Bearer {hub.agent_token}"},
            )
            answer = httpx.put(url, content=bytes(size), headers=token, timeout=30)
            if answer.is_error:
                assert answer.json()["code"] == "StorageFull"
                assert answer.json()["details"]["most_bytes"] == 30_000
            return answer.status_code

        assert [leave(attempts[0], verb, left + 1) for verb in ("result", "output", "artifact", "log")] == [507] * 4
        assert files(hub) == before, "what was refused is gone"
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda attempt: leave(attempt, "result", left // 2), attempts))
        assert sorted(answers) == [204] * 2 + [507] * 6
        assert leave(attempts[0], "log", left % 2 + 1) == 507
        assert len(files(hub) - before) == 2
        for attempt in attempts:  # and who was refused can say so
            door.finish(attempt, Outcome(error=errors.StorageFull("the hub did not take the result").to_dict()))
        assert {one["state"] for one in user.get("/jobs")["jobs"]} == {"failed"}
