"""Jobs that wait for others, deadlines, priorities, and submissions that are sent again: a real hub, a real PostgreSQL."""

from __future__ import annotations

import asyncio
import itertools
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest

pytest.importorskip("pgqueuer")

import asyncpg

from dynolab import errors
from dynolab.agent.http import HubDoor
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, ClaimRequest, DeviceOffer, Outcome, Renewal, Tensors
from dynolab.spec.tensors import TensorSpec
from dynolab.testing.commands import command
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

CONTENT = b"a model, or so it says"
MODEL = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
LEASE_S = 2.0
ENVIRONMENT = {"DYNOLAB_LEASE_S": str(LEASE_S)}
WITHIN_S = 15.0


@pytest.fixture(scope="module")
def user(hub: RunningHub) -> Iterator[User]:
    with httpx.Client(timeout=30) as http:
        yield User(hub, hub.token, http)


@pytest.fixture(scope="module")
def model(user: User) -> str:
    return uploaded(user, CONTENT)


def uploaded(user: User, content: bytes) -> str:
    made = user.ask("POST", "/models", {"name": "net", "kind": "onnx"}, status=201)
    begun = user.ask("POST", f"/models/{made['id']}/uploads", {"size": len(content)}, status=201)
    etags = [httpx.put(url, content=content, timeout=30).headers["etag"] for url in begun["urls"]]
    user.ask("POST", f"/models/{made['id']}/uploads/{begun['upload_id']}/complete", {"etags": etags})
    return str(made["id"])


class User:
    """A user of the JSON API."""

    def __init__(self, hub: RunningHub, token: str, http: httpx.Client) -> None:
        self.url, self.headers, self.http = hub.url, {"Authorization": f"Bearer {token}"}, http

    def ask(self, method: str, path: str, body: Any = None, *, status: int = 200) -> Any:
        answer = self.http.request(method, f"{self.url}/api/hub/v1{path}", json=body, headers=self.headers)
        assert answer.status_code == status, (answer.status_code, answer.text)
        return answer.json() if answer.content else None

    def submit(self, model_id: str, device: str, *, status: int = 201, **more: Any) -> Any:
        return self.ask("POST", "/jobs", {"model_id": model_id, "device": {"name": device}, **more}, status=status)

    def try_to_submit(self, model_id: str, device: str, **more: Any) -> dict[str, Any]:
        """The job, or the error of a refusal."""
        body = {"model_id": model_id, "device": {"name": device}, **more}
        answer = self.http.post(f"{self.url}/api/hub/v1/jobs", json=body, headers=self.headers)
        assert answer.status_code in (201, 409), answer.text
        return dict(answer.json())

    def job(self, job_id: str) -> Any:
        return self.ask("GET", f"/jobs/{job_id}")

    def official(self, job_id: str) -> pb.Job:
        headers = {**self.headers, "Client-Version": "0.56.0"}
        return pb.Job.FromString(self.http.get(f"{self.url}/api/v1/jobs/{job_id}/", headers=headers).content)


def claim(door: HubDoor, name: str, wait_s: float = 0.0) -> Assignment | None:
    offered = DeviceOffer(id=f"{name}-1", name=name, os="1.0", attributes=("framework:onnx", "sandbox:test"))
    return door.claim(ClaimRequest(AGENT_PROTOCOL, offered, wait_s))


def taken(door: HubDoor, name: str) -> Assignment:
    found = claim(door, name, WITHIN_S)
    assert found is not None
    return found


# ---- jobs that wait for others -----------------------------------------------------------------------------------------


def test_a_job_is_queued_once_all_that_it_waits_for_is_done(user: User, door: HubDoor, model: str) -> None:
    assert claim(door, "chain") is None
    first, second = (user.submit(model, "chain")["id"] for _ in range(2))
    last = user.submit(model, "chain", waits_for=[second, first, second])
    assert (last["state"], last["waits_for"], last["queue_position"]) == ("queued", sorted([first, second]), None)
    assert user.official(last["id"]).inference_job.job_state == pb.JOB_STATE_CREATED
    assert user.ask("GET", "/devices?name=chain")["devices"][0]["queued"] == 2, "it waits for no device yet"
    for _ in range(2):
        found = taken(door, "chain")
        assert found.job in (first, second)
        assert user.job(last["id"])["queue_position"] is None
        door.finish(found.attempt, Outcome())
    assert user.job(last["id"])["queue_position"] == 1
    found = taken(door, "chain")
    assert found.job == last["id"]
    door.finish(found.attempt, Outcome())
    assert user.job(last["id"])["state"] == "done"
    after = user.submit(model, "chain", waits_for=[first])
    assert after["queue_position"] == 1, "what it waits for is done already"
    user.ask("DELETE", f"/jobs/{first}", status=204)
    assert user.job(after["id"])["waits_for"] == [first], "the id stays"
    user.ask("POST", f"/jobs/{after['id']}/cancel")


@pytest.mark.parametrize("how", ["failed", "cancelled"])
def test_what_waits_for_a_job_that_does_not_end_well_fails_with_it(
    user: User, door: HubDoor, model: str, how: str
) -> None:
    assert claim(door, "fate") is None
    root = user.submit(model, "fate")["id"]
    other = user.submit(model, "fate", priority=-5)["id"]
    child = user.submit(model, "fate", waits_for=[root, other])["id"]
    grandchild = user.submit(model, "fate", waits_for=[other, child])["id"]
    if how == "failed":
        door.finish(taken(door, "fate").attempt, Outcome(error=errors.LoadFailed("no such operator").to_dict()))
    else:
        user.ask("POST", f"/jobs/{root}/cancel")
    for job_id, cause, state in ((child, root, how), (grandchild, child, "failed")):
        found = user.job(job_id)
        assert (found["state"], found["failure"]["code"]) == ("failed", "DependencyFailed")
        assert found["failure"]["message"] == f"the job {cause}, which this one waits for, is {state}"
        assert found["failure"]["details"] == {"job_id": cause}
        assert user.official(job_id).failure_type == pb.JOB_FAILURE_TYPE_RUNTIME_FAILED_DEPENDENCY
    refused = user.submit(model, "fate", waits_for=[root], status=409)
    assert refused["code"] == "DependencyFailed"
    found = taken(door, "fate")
    assert found.job == other, "it had no part in this"
    door.finish(found.attempt, Outcome())
    assert claim(door, "fate") is None


def test_a_job_that_waits_is_cancelled_at_once_and_is_deleted_after_that(user: User, door: HubDoor, model: str) -> None:
    assert claim(door, "given-up") is None
    root = user.submit(model, "given-up")["id"]
    child = user.submit(model, "given-up", waits_for=[root])["id"]
    user.ask("DELETE", f"/jobs/{root}", status=409)
    user.ask("DELETE", f"/jobs/{child}", status=409)
    assert user.ask("POST", f"/jobs/{child}/cancel")["state"] == "cancelled"
    user.ask("DELETE", f"/jobs/{child}", status=204)
    door.finish(taken(door, "given-up").attempt, Outcome())
    assert claim(door, "given-up") is None


def test_what_a_job_waits_for_may_be_deleted_while_it_comes_in(user: User, door: HubDoor, model: str) -> None:
    assert claim(door, "deleted") is None
    with ThreadPoolExecutor(2) as pool:
        for _ in range(10):
            root = user.submit(model, "deleted")["id"]
            door.finish(taken(door, "deleted").attempt, Outcome())
            body = {"model_id": model, "device": {"name": "deleted"}, "waits_for": [root]}
            submitted = pool.submit(user.http.post, f"{user.url}/api/hub/v1/jobs", json=body, headers=user.headers)
            pool.submit(user.ask, "DELETE", f"/jobs/{root}", status=204).result()
            answer = submitted.result()
            assert answer.status_code in (201, 404), answer.text
            if answer.status_code == 201:
                assert user.job(answer.json()["id"])["queue_position"] == 1
                door.finish(taken(door, "deleted").attempt, Outcome())
    assert claim(door, "deleted") is None


def test_a_key_stands_for_the_same_terms_only(user: User, door: HubDoor, model: str) -> None:
    assert claim(door, "keys") is None
    root = user.submit(model, "keys")["id"]
    limit = "model_size <= 1 MB"
    terms = {"priority": 3, "deadline_s": 60, "waits_for": [root], "requirements": [limit], "keeps_artifact": True}
    body = {"model_id": model, "device": {"name": "keys"}}
    headers = {**user.headers, "Idempotency-Key": f"terms-{root}"}

    def send(**more: Any) -> httpx.Response:
        return user.http.post(f"{user.url}/api/hub/v1/jobs", json={**body, **more}, headers=headers)

    first = send(**terms)
    assert send(**terms).json()["id"] == first.json()["id"]
    for change in (
        {"priority": 4},
        {"deadline_s": 61},
        {"waits_for": []},
        {"requirements": []},
        {"keeps_artifact": False},
    ):
        assert send(**{**terms, **change}).status_code == 409
    user.ask("POST", f"/jobs/{root}/cancel")


def test_requirements_reach_the_agent_and_the_next_run(hub: RunningHub, user: User, door: HubDoor, model: str) -> None:
    assert claim(door, "required") is None
    asked = ["estimated_inference_time  <= 33 ms ", "process_total_peak < 1 GB", "process_total_peak < 1 GB"]
    wanted = ["estimated_inference_time <= 33 ms", "process_total_peak < 1 GB"]
    shapes = {"x": [1, 3, 48, 192], "scalar": []}
    job = user.submit(model, "required", requirements=asked, keeps_artifact=True, input_shapes=shapes)
    assert (job["requirements"], job["keeps_artifact"], job["artifact_bytes"]) == (wanted, True, None)
    assert job["input_shapes"] == shapes
    given = taken(door, "required")
    assert (given.requirements, given.keeps_artifact) == (tuple(wanted), True)
    assert given.input_shapes == {"x": (1, 3, 48, 192), "scalar": ()}
    assert "not over" not in user.ask("GET", f"/jobs/{job['id']}/artifact", status=404)["message"]
    hub.leave(given.attempt, "artifact", b"PK of a kind")
    door.finish(given.attempt, Outcome(summary={"requirements": {"met": 2}}))
    link = user.ask("GET", f"/jobs/{job['id']}/artifact")
    assert (link["name"], httpx.get(link["url"], timeout=30).content) == (
        f"net_{job['id']}_artifact.zip",
        b"PK of a kind",
    )
    assert user.job(job["id"])["artifact_bytes"] == link["bytes"] == 12
    again = user.ask("POST", f"/jobs/{job['id']}/rerun", status=201)
    assert (again["requirements"], again["keeps_artifact"], again["input_shapes"]) == (wanted, True, shapes)
    user.ask("POST", f"/jobs/{again['id']}/cancel")
    user.ask("DELETE", f"/jobs/{job['id']}", status=204)
    assert httpx.get(link["url"], timeout=30).status_code == 404, "what nobody can ask for any more is not kept"


@pytest.mark.parametrize(
    ("more", "told"),
    [
        ({"requirements": ["speed <= 33 ms"]}, "there is no figure named 'speed'"),
        ({"requirements": ["estimated_inference_time <= 33"]}, "needs a unit"),
        ({"requirements": ["model_size <= 1 MB"] * 51}, "50"),
        ({"requirements": ["model_size <= 1 MB\0"]}, "NUL"),
        ({"input_shapes": {"x": [1, -1]}}, "the size -1 must be 0 or more"),
        ({"input_shapes": {"x": [2**70]}}, "at most 2 to the power of 62"),
        ({"input_shapes": {"x": "1,3"}}, "input_shapes"),
    ],
)
def test_requirements_that_cannot_be(user: User, door: HubDoor, model: str, more: dict[str, Any], told: str) -> None:
    assert claim(door, "nobody") is None
    assert told in user.submit(model, "nobody", status=422, **more)["message"]


def test_jobs_to_wait_for_that_cannot_be(user: User, door: HubDoor, model: str) -> None:
    assert claim(door, "nobody") is None
    refused = user.submit(model, "nobody", waits_for=["jnothing"], status=404)
    assert "jnothing" in refused["message"]
    user.submit(model, "nobody", waits_for=[f"j{number}" for number in range(101)], status=422)
    user.submit(model, "nobody", waits_for="j1", status=422)


def test_a_job_may_end_while_others_that_wait_for_it_come_in(user: User, door: HubDoor, model: str) -> None:
    """Neither is anybody forgotten, nor does anybody start before its time."""
    assert claim(door, "late") is None
    rounds = 15
    with ThreadPoolExecutor(8) as pool:
        for number in range(rounds):
            root = user.submit(model, "late")["id"]
            attempt = taken(door, "late").attempt
            submissions = [pool.submit(user.try_to_submit, model, "late", waits_for=[root]) for _ in range(3)]
            outcome = Outcome() if number % 3 else Outcome(error=errors.LoadFailed("not this time").to_dict())
            submitted = pool.submit(door.finish, attempt, outcome)
            found = [_job_or_refusal(one) for one in submissions]
            submitted.result()
            for job_id in filter(None, found):
                if number % 3 == 0:
                    assert user.job(job_id)["failure"]["code"] == "DependencyFailed"
                    continue
                assert user.job(job_id)["queue_position"] is not None
            for _ in filter(None, found if number % 3 else ()):
                door.finish(taken(door, "late").attempt, Outcome())
    assert claim(door, "late") is None


def _job_or_refusal(submission: Any) -> str | None:
    """The job's id; None when it was refused because what it was to wait for had failed before."""
    answer = submission.result()
    assert answer["code"] == "DependencyFailed" if "code" in answer else answer["id"]
    return answer.get("id")  # type: ignore[no-any-return]


def test_the_last_two_that_a_job_waits_for_may_end_at_once(user: User, hub: RunningHub, model: str) -> None:
    doors = [HubDoor(hub.url, hub.agent_token) for _ in range(2)]
    names = ["twin-a", "twin-b"]
    for door, name in zip(doors, names, strict=True):
        assert claim(door, name) is None
    with ThreadPoolExecutor(2) as pool:
        for _ in range(15):
            both = [user.submit(model, name)["id"] for name in names]
            last = user.submit(model, "twin-a", waits_for=both)["id"]
            attempts = [taken(door, name).attempt for door, name in zip(doors, names, strict=True)]
            list(pool.map(lambda pair: pair[0].finish(pair[1], Outcome()), zip(doors, attempts, strict=True)))
            assert user.job(last)["queue_position"] == 1
            doors[0].finish(taken(doors[0], "twin-a").attempt, Outcome())
    for door in doors:
        door.close()


def test_crossing_chains_that_fail_at_once_end_all_of_them(user: User, hub: RunningHub, model: str) -> None:
    """Two failures whose heirs overlap, and a job that comes in below them meanwhile."""
    doors = [HubDoor(hub.url, hub.agent_token) for _ in range(2)]
    names = ["cross-a", "cross-b"]
    for door, name in zip(doors, names, strict=True):
        assert claim(door, name) is None
    failure = Outcome(error=errors.LoadFailed("no such operator").to_dict())
    with ThreadPoolExecutor(3) as pool:
        for _ in range(10):
            roots = [user.submit(model, name)["id"] for name in names]
            attempts = [taken(door, name).attempt for door, name in zip(doors, names, strict=True)]
            x = user.submit(model, "cross-a", waits_for=[roots[0]])["id"]
            y = user.submit(model, "cross-a", waits_for=[x, roots[1]])["id"]
            z = user.submit(model, "cross-a", waits_for=[y, roots[0]])["id"]
            late = pool.submit(user.try_to_submit, model, "cross-a", waits_for=[z, x])
            list(pool.map(lambda pair: pair[0].finish(pair[1], failure), zip(doors, attempts, strict=True)))
            for job_id in filter(None, (x, y, z, _job_or_refusal(late))):
                assert user.job(job_id)["failure"]["code"] == "DependencyFailed"
    for door in doors:
        door.close()


# ---- deadlines -----------------------------------------------------------------------------------------------------------


def test_a_deadline_counts_the_run_and_not_the_queue(user: User, door: HubDoor, model: str) -> None:
    assert claim(door, "patient") is None
    job = user.submit(model, "patient", deadline_s=2.5)
    assert job["deadline_s"] == 2.5
    time.sleep(4)  # longer than the deadline, and than a sweep after it
    assert user.job(job["id"])["state"] == "queued"
    found = taken(door, "patient")
    assert found.job == job["id"]
    door.finish(found.attempt, Outcome())
    assert user.job(job["id"])["state"] == "done"


def test_a_sustained_run_has_room_within_the_deadline(user: User, door: HubDoor, model: str) -> None:
    assert claim(door, "enduring") is None
    asked = {"options": "--sustained 10m"}
    job = user.submit(model, "enduring", **asked)
    assert job["deadline_s"] == 3600 + 600, "the hub's own bound, and the run"
    again = user.ask("POST", f"/jobs/{job['id']}/rerun", status=201)
    assert (again["options"], again["deadline_s"]) == ("--sustained 10m", 4200)
    assert user.submit(model, "enduring", **asked, deadline_s=900)["deadline_s"] == 900
    refused = user.submit(model, "enduring", **asked, deadline_s=600, status=422)
    assert "a deadline of 600 s ends before the sustained run of 600 s is over" in refused["message"]
    for text, told in (("--sustained 1s", "it takes 5 s to 12 h"), ("--sustained soon", "--sustained")):
        assert told in user.submit(model, "enduring", options=text, status=422)["message"]
    compared = {"kind": "compare", "comparison": {"model_id": model, "budget_s": 60}}
    for more in ({"options": "--sustained 10m"}, {"comparison": {"model_id": model, "options": "--sustained 10m"}}):
        refused = user.submit(model, "enduring", status=422, **{**compared, **more})
        assert "--sustained is an option of profile jobs" in refused["message"]


def test_an_attempt_that_runs_past_its_deadline_is_ended_and_not_tried_again(
    user: User, door: HubDoor, model: str
) -> None:
    assert claim(door, "slow") is None
    job = user.submit(model, "slow", deadline_s=3)
    found = taken(door, "slow")
    assert not door.renew(found.attempt, Renewal({"event": "stage"})).cancel
    await_end(user, job["id"], door, found)
    with pytest.raises(errors.Conflict, match="is over"):
        door.renew(found.attempt, Renewal())
    ended = user.job(job["id"])
    assert (ended["state"], ended["failure"]["code"], ended["attempts_made"]) == ("failed", "WorkerTimeout", 1)
    assert "deadline of 3 s" in ended["failure"]["message"]
    assert (ended["attempts"][0]["state"], ended["attempts"][0]["failure"]["code"]) == ("lost", "WorkerTimeout")
    assert user.official(job["id"]).failure_type == pb.JOB_FAILURE_TYPE_RUNTIME_TIMEOUT
    with pytest.raises(errors.Conflict, match="is over"):
        door.finish(found.attempt, Outcome())
    again = user.ask("POST", f"/jobs/{job['id']}/rerun", status=201)
    assert again["deadline_s"] == 3
    next_one = taken(door, "slow")
    assert next_one.job == again["id"], "its device is free"
    door.finish(next_one.attempt, Outcome())


def await_end(user: User, job_id: str, door: HubDoor, found: Assignment) -> None:
    """Wait until the job is over; its agent lives: the lease does not run out."""

    def is_over() -> bool:
        with suppress(errors.Conflict):
            door.renew(found.attempt, Renewal())
        return user.job(job_id)["finished_at"] is not None

    until(is_over, "the deadline", every_s=0.2)


def test_what_an_attempt_had_logged_when_its_deadline_came_is_its_log(user: User, door: HubDoor, model: str) -> None:
    assert claim(door, "telling") is None
    job = user.submit(model, "telling", deadline_s=3)
    found = taken(door, "telling")
    door.renew(found.attempt, Renewal({"event": "stage"}, "10:00:00 inference: iteration 7\n"))
    await_end(user, job["id"], door, found)
    answer = user.http.get(f"{user.url}/api/hub/v1/jobs/{job['id']}/log", headers=user.headers)
    assert answer.status_code == 200, answer.text
    first, last = answer.text.splitlines()
    assert first == "10:00:00 inference: iteration 7"
    assert "deadline of 3 s" in last


@pytest.mark.slow
def test_time_in_which_the_hub_was_away_does_not_count_against_a_deadline(
    hub: RunningHub, user: User, door: HubDoor, model: str
) -> None:
    assert claim(door, "absent") is None
    job = user.submit(model, "absent", deadline_s=6)
    found = taken(door, "absent")
    time.sleep(1.5)  # a sweep has seen it
    hub.process.send_signal(signal.SIGSTOP)
    time.sleep(8)  # longer than what is left of the deadline
    hub.process.send_signal(signal.SIGCONT)
    for _ in range(15):  # more than a sweep
        assert not door.renew(found.attempt, Renewal({"event": "stage"})).cancel
        time.sleep(0.1)
    await_end(user, job["id"], door, found)  # what is left of it counts
    assert user.job(job["id"])["failure"]["code"] == "WorkerTimeout"


@pytest.mark.slow
def test_a_real_agent_stops_at_the_deadline_and_takes_the_next_job(tmp_path: Path) -> None:
    pytest.importorskip("onnxruntime")
    with (
        running_hub(tmp_path / "hub", environment={"DYNOLAB_LEASE_S": str(LEASE_S)}) as found,
        httpx.Client(timeout=30) as http,
    ):
        user = User(found, found.token, http)
        device = until(lambda: user.ask("GET", "/devices")["devices"], "this machine's agent")[0]
        model_id = uploaded(user, MODEL.read_bytes())
        late, following = (
            user.submit(model_id, device["name"], options="--max_profiler_iterations 100000", **more)["id"]
            for more in ({"deadline_s": 1}, {})
        )
        until(lambda: user.job(following)["state"] != "queued", "the next job's turn")
        ended = user.job(late)
        assert (ended["failure"]["code"], ended["attempts_made"]) == ("WorkerTimeout", 1)
        user.ask("POST", f"/jobs/{following}/cancel")


@pytest.mark.parametrize("wrong", [0, -1, 1e9, "1"])
def test_deadlines_that_cannot_be(user: User, model: str, wrong: object) -> None:
    assert user.submit(model, "", deadline_s=wrong, status=422)["code"] == "SpecInvalid"


# ---- priorities ----------------------------------------------------------------------------------------------------------


def test_the_higher_priority_goes_first_and_within_one_the_older(user: User, door: HubDoor, model: str) -> None:
    assert claim(door, "ranks") is None
    asked = [0, 10, -10, 3, 10]
    jobs = {user.submit(model, "ranks", priority=priority)["id"]: priority for priority in asked}
    places = {job_id: user.job(job_id)["queue_position"] for job_id in jobs}
    order = []
    for _ in asked:
        found = taken(door, "ranks")
        order.append(found.job)
        door.finish(found.attempt, Outcome())
    assert [jobs[job_id] for job_id in order] == [10, 10, 3, 0, -10]
    assert sorted(places, key=lambda job_id: places[job_id]) == order
    both = [job_id for job_id in jobs if jobs[job_id] == 10]
    assert order[:2] == both


def test_shares_stay_fair_within_a_priority(user: User, hub: RunningHub, door: HubDoor, model: str) -> None:
    assert claim(door, "shares") is None
    mine = [user.submit(model, "shares", priority=2)["id"] for _ in range(4)]
    other = another_user(user, hub, "other@example.org")
    user.ask("PATCH", f"/models/{model}/sharing", {"add": ["other@example.org"]})
    theirs = [other.submit(model, "shares", priority=2)["id"] for _ in range(2)]
    order = []
    for _ in range(6):
        found = taken(door, "shares")
        order.append(found.job)
        door.finish(found.attempt, Outcome())
    assert order == [mine[0], theirs[0], mine[1], theirs[1], mine[2], mine[3]]


def test_newer_jobs_of_an_account_do_not_overtake_its_older_ones(user: User, door: HubDoor, model: str) -> None:
    assert claim(door, "overtaken") is None
    asked, order = [user.submit(model, "overtaken")["id"] for _ in range(5)], []

    def go() -> None:
        found = taken(door, "overtaken")
        order.append(found.job)
        door.finish(found.attempt, Outcome())

    for _ in range(3):
        go()
    asked += [user.submit(model, "overtaken")["id"] for _ in range(3)]
    while len(order) < len(asked):
        go()
    assert order == asked


def test_many_waiting_jobs_have_their_turns_among_those_who_ask_for_one_after_the_other(
    user: User, hub: RunningHub, door: HubDoor, model: str
) -> None:
    assert claim(door, "turns") is None
    others = [another_user(user, hub, f"turn-{number}@example.org") for number in range(2)]
    user.ask("PATCH", f"/models/{model}/sharing", {"add": [f"turn-{number}@example.org" for number in range(2)]})
    mine = [user.submit(model, "turns")["id"] for _ in range(6)]
    single = {one.submit(model, "turns")["id"]: one for one in others}
    order = []
    for _ in range(15):
        found = taken(door, "turns")
        order.append(found.job)
        door.finish(found.attempt, Outcome())
        if found.job in single:
            asker = single.pop(found.job)
            single[asker.submit(model, "turns")["id"]] = asker
    turns = [at for at, job_id in enumerate(order) if job_id in mine]
    assert [order[at] for at in turns] == mine[: len(turns)]
    assert len(turns) >= 5, "a third of the turns is theirs"
    assert max(after - before for before, after in itertools.pairwise(turns)) <= 4
    for job_id in (*mine, *single):
        if job_id not in order:
            single.get(job_id, user).ask("POST", f"/jobs/{job_id}/cancel")


def test_others_that_a_model_is_shared_with_do_not_say_what_it_is(
    user: User, hub: RunningHub, door: HubDoor, model: str
) -> None:
    """Their agents may be their own."""
    assert claim(door, "hearsay") is None
    user.ask("PATCH", f"/models/{model}/sharing", {"add": ["guest@example.org"]})
    job_id = another_user(user, hub, "guest@example.org").submit(model, "hearsay")["id"]
    found = taken(door, "hearsay")
    assert found.job == job_id
    x = TensorSpec("x", "float32", (1,))
    door.finish(found.attempt, Outcome(tensors=Tensors((x,), (x,), fixed=True)))
    headers = {**user.headers, "Client-Version": "0.56.0"}
    shown = pb.Model.FromString(user.http.get(f"{user.url}/api/v1/models/{model}/", headers=headers).content)
    assert not shown.HasField("input_spec")


@pytest.mark.parametrize("wrong", [11, -11, 1.5, "1", True])
def test_priorities_that_cannot_be(user: User, model: str, wrong: object) -> None:
    assert user.submit(model, "", priority=wrong, status=422)["code"] == "SpecInvalid"


def another_user(user: User, hub: RunningHub, email: str) -> User:
    done = command("hub", "--data", hub.data, "account", "add", email, environment=hub.environment)
    assert done.returncode == 0, done.stderr
    return User(hub, done.stdout.strip(), user.http)


# ---- what is sent again ----------------------------------------------------------------------------------------------------


@contextmanager
def jobs_table_locked(postgres: OwnDatabase) -> Iterator[None]:
    """No job can be kept meanwhile."""
    held, release = threading.Event(), threading.Event()

    async def hold() -> None:
        connection = await asyncpg.connect(postgres.dsn)
        async with connection.transaction():
            await connection.execute("LOCK TABLE job IN EXCLUSIVE MODE")
            held.set()
            await asyncio.to_thread(release.wait)
        await connection.close()

    holding = threading.Thread(target=asyncio.run, args=(hold(),))
    holding.start()
    assert held.wait(WITHIN_S)
    try:
        yield
    finally:
        release.set()
        holding.join()


async def _end_submitters(dsn: str) -> int:
    connection = await asyncpg.connect(dsn)
    blocked = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%job%' AND datname = current_database()"
    ended = await connection.fetch(blocked)
    await connection.close()
    return len(ended)


def named(model_id: str, name: str, device: str) -> bytes:
    asked = pb.InferenceJob(name=name, is_profiling_on=True)
    asked.model.model_id, asked.device.name = model_id, device
    return pb.Job(inference_job=asked).SerializeToString()


def count(user: User, name: str) -> int:
    return len(user.ask("GET", f"/jobs?text={name}")["jobs"])


def post(user: User, content: bytes, timeout_s: float = 30) -> httpx.Response:
    headers = {**user.headers, "Client-Version": "0.56.0", "Content-Type": "application/x-protobuf"}
    return httpx.post(f"{user.url}/api/v1/jobs/", content=content, headers=headers, timeout=timeout_s)


def test_a_submission_whose_sender_hung_up_is_sent_again_and_done_once(
    user: User, postgres: OwnDatabase, door: HubDoor, model: str
) -> None:
    assert claim(door, "hangup") is None
    content = named(model, "sent-again", "hangup")
    with ThreadPoolExecutor(1) as pool:
        with jobs_table_locked(postgres):
            for _ in range(2):
                with pytest.raises(httpx.ReadTimeout):
                    post(user, content, 0.5)
            last = pool.submit(post, user, content)
            until(lambda: postgres.waiting() == 3, "the three to wait for the table")
        answer = last.result()
    made = pb.CreateUpdateResponse.FromString(answer.content)
    assert made.id
    assert made.status == ""
    assert count(user, "sent-again") == 1
    post(user, content)
    assert count(user, "sent-again") == 2, "that one was answered: this is another"


def test_a_submission_that_was_answered_503_is_sent_again_and_done_once(
    user: User, postgres: OwnDatabase, door: HubDoor, model: str
) -> None:
    assert claim(door, "cut-off") is None
    content = named(model, "cut-off", "cut-off")
    with ThreadPoolExecutor(1) as pool, jobs_table_locked(postgres):
        first = pool.submit(post, user, content)
        until(lambda: asyncio.run(_end_submitters(postgres.dsn)), "a submission that waits for the table")
        assert first.result().status_code == 503
    assert post(user, content).is_success
    assert count(user, "cut-off") == 1


def test_the_same_job_asked_for_twice_is_two_jobs(user: User, postgres: OwnDatabase, door: HubDoor, model: str) -> None:
    """Whether one after the other or at once: both senders wait for their answers."""
    assert claim(door, "twice") is None
    content = named(model, "asked-twice", "twice")
    with ThreadPoolExecutor(3) as pool:
        with jobs_table_locked(postgres):
            answers = [pool.submit(post, user, content) for _ in range(3)]
            until(lambda: postgres.waiting() == 3, "the three to wait for the table")
        ids = [pb.CreateUpdateResponse.FromString(answer.result().content).id for answer in answers]
    ids.append(pb.CreateUpdateResponse.FromString(post(user, content).content).id)
    assert len(set(ids)) == 4
    assert all(one != other for one, other in pairwise(sorted(ids)))


# ---- what a device can run ---------------------------------------------------------------------------------------------


def able(door: HubDoor, name: str, number: int, *attributes: str) -> None:
    """Make a board known that tells these attributes."""
    door.claim(ClaimRequest(AGENT_PROTOCOL, DeviceOffer(f"{name}-{number}", name, "1.0", attributes)))


def test_what_no_board_of_a_device_can_run_is_refused_at_once(user: User, door: HubDoor, model: str) -> None:
    able(door, "able", 1, "runs:litert/tflite")
    refused = user.submit(model, "able", status=422)
    told = "no runtime of the device 'able' reads a model of the kind onnx; those there read: tflite"
    assert told in refused["message"]
    able(door, "able", 2, "runs:onnxruntime/onnx")
    refused = user.submit(model, "able", options="--runtime litert", status=422)
    told = "'litert' does not run a model of the kind onnx; on the device 'able' that does: onnxruntime"
    assert told in refused["message"]
    refused = user.submit(model, "able", options="--runtime torch", status=422)
    assert "the device 'able' has no runtime 'torch'; it has: onnxruntime" in refused["message"]
    assert "dynolab runtimes" in refused["hint"]
    job = user.submit(model, "able", options="--runtime onnxruntime")["id"]
    assert user.job(job)["state"] == "queued", "another board can"
    able(door, "able", 2, "runs:torch/torchscript")
    user.ask("POST", f"/jobs/{job}/rerun", status=422)
    able(door, "able", 2, "runs:onnxruntime/onnx", "runs:torch/torchscript")
    assert user.ask("POST", f"/jobs/{job}/rerun", status=201)["state"] == "queued", "what else it can run is no matter"


def test_a_board_that_tells_nothing_of_its_runtimes_is_not_judged(user: User, door: HubDoor, model: str) -> None:
    able(door, "silent", 1)
    assert user.submit(model, "silent", options="--runtime torch")["state"] == "queued"
