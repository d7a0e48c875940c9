"""Jobs and their leases, through the hub's real doors: HTTP in, a real PostgreSQL behind, agents that are this test's own."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import asyncpg
import httpx
import pytest

pytest.importorskip("pgqueuer")

from dynolab import errors
from dynolab.agent.http import HubDoor
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, ClaimRequest, DeviceOffer, Outcome, Renewal
from dynolab.testing.commands import command
from dynolab.testing.databases import OwnDatabase
from dynolab.testing.running_hub import RunningHub

LEASE_S = 2.0
ENVIRONMENT = {"DYNOLAB_LEASE_S": str(LEASE_S)}
CONTENT = b"a model, or so it says" * 1000


@pytest.fixture
def user(hub: RunningHub) -> Iterator[User]:
    """The hub's first user."""
    signed_in = User(hub)
    yield signed_in
    signed_in.http.close()


class User:
    """The official protocol, by hand."""

    def __init__(self, hub: RunningHub, token: str | None = None) -> None:
        headers = {"Authorization": f"token {token or hub.token}", "Client-Version": "0.56.0"}
        self.http = httpx.Client(base_url=f"{hub.url}/api/v1/", headers=headers, timeout=30)

    def post(self, path: str, message: object) -> pb.CreateUpdateResponse:
        answer = self.http.post(path, content=message.SerializeToString())  # type: ignore[attr-defined]  # any message
        assert answer.is_success, answer.text
        return pb.CreateUpdateResponse.FromString(answer.content)

    def model(self, content: bytes = CONTENT, kind: pb.ModelType.ValueType = pb.MODEL_TYPE_ONNX) -> str:
        model_id = self.post("models/", pb.Model(name="net", model_type=kind)).id
        answer = self.http.get(f"models/{model_id}/multipart_upload/", params={"file_size": len(content)})
        begun = pb.FileMultipartUploadURL.FromString(answer.content)
        etags = [httpx.put(url, content=content, timeout=30).headers["etag"] for url in begun.urls]
        complete = pb.FileMultipartUploadComplete(upload_id=begun.upload_id, etags=etags)
        for _ in range(2):  # said twice, done once
            self.post(f"models/{model_id}/multipart_upload/", complete)
        return model_id

    def submit(self, model_id: str, device: str, options: str = "") -> str:
        asked = pb.InferenceJob(name="job", options=options, is_profiling_on=True)
        asked.model.model_id, asked.device.name = model_id, device
        return self.post("jobs/", pb.Job(inference_job=asked)).id

    def state(self, job_id: str) -> int:
        return pb.Job.FromString(self.http.get(f"jobs/{job_id}/").content).inference_job.job_state


def device(name: str, number: int = 1) -> DeviceOffer:
    return DeviceOffer(id=f"{name}-{number}", name=name, os="1.0", attributes=("framework:onnx",))


def claim(door: HubDoor, offer: DeviceOffer, wait_s: float = 0.0) -> Assignment | None:
    return door.claim(ClaimRequest(AGENT_PROTOCOL, offer, wait_s))


def taken(door: HubDoor, offer: DeviceOffer, wait_s: float = 10.0) -> Assignment:
    found = claim(door, offer, wait_s)
    assert found is not None
    return found


def test_a_job_goes_to_an_agent_and_comes_back_done(user: User, door: HubDoor, tmp_path: Path) -> None:
    assert claim(door, device("round")) is None
    job_id = user.submit(user.model(), "round")
    assert user.state(job_id) == pb.JOB_STATE_CREATED
    found = taken(door, device("round"))
    assert (found.job, found.number, found.lease_s) == (job_id, 1, LEASE_S)
    assert door.fetch(found.attempt, "model", found.model, tmp_path).read_bytes() == CONTENT
    assert user.state(job_id) == pb.JOB_STATE_PROVISIONING_DEVICE
    assert not door.renew(found.attempt, Renewal({"stage": "compile"})).cancel
    assert user.state(job_id) == pb.JOB_STATE_MEASURING_PERFORMANCE
    door.finish(found.attempt, Outcome(summary={"estimated_inference_time_ns": 1_500_000}))
    assert user.state(job_id) == pb.JOB_STATE_DONE
    summaries = pb.JobSummaryList.FromString(user.http.get("job_summaries/").content).job_summaries
    assert [
        one.inference_job_summary.execution_time for one in summaries if one.inference_job_summary.job_id == job_id
    ] == [1500]


def test_a_lost_agents_job_is_anothers_within_a_lease_and_its_late_word_is_refused(user: User, door: HubDoor) -> None:
    assert claim(door, device("lost", 1)) is None
    job_id = user.submit(user.model(), "lost")
    first = taken(door, device("lost", 1))
    start = time.monotonic()
    second = taken(door, device("lost", 2), wait_s=25)
    assert time.monotonic() - start < 20, "a lease, not all the time that it would have waited"
    assert (second.job, second.number) == (job_id, 2)
    with pytest.raises(errors.Conflict, match="is over"):
        door.finish(first.attempt, Outcome(summary={"estimated_inference_time_ns": 1}))
    with pytest.raises(errors.Conflict, match="is over"):
        door.renew(first.attempt, Renewal())
    door.finish(second.attempt, Outcome(error=errors.LoadFailed("no such operator").to_dict()))
    inner = pb.Job.FromString(user.http.get(f"jobs/{job_id}/").content)
    assert inner.inference_job.job_state == pb.JOB_STATE_FAILED
    assert inner.inference_job.failure_reason == "no such operator"
    assert inner.failure_type == pb.JOB_FAILURE_TYPE_MODEL_INVALID


def test_a_job_that_loses_three_agents_fails(user: User, door: HubDoor) -> None:
    assert claim(door, device("cursed", 1)) is None
    job_id = user.submit(user.model(), "cursed")
    for number in (1, 2, 3):
        assert taken(door, device("cursed", number), wait_s=20).number == number
    assert claim(door, device("cursed", 4), wait_s=LEASE_S + 3) is None
    assert user.state(job_id) == pb.JOB_STATE_FAILED


def test_a_job_tells_why_its_attempts_were_lost(hub: RunningHub, user: User, door: HubDoor) -> None:
    assert claim(door, device("silent")) is None
    job_id = user.submit(user.model(), "silent")
    assert taken(door, device("silent")).number == 1
    assert taken(door, device("silent", 2), wait_s=20).number == 2
    settings = {"DYNOLAB_HUB_URL": hub.url, "DYNOLAB_HUB_TOKEN": hub.token}
    shown = command("jobs", "show", job_id, environment=settings)
    assert f"attempt 1 was lost: nothing was heard of the device for {LEASE_S:g} s" in shown.stdout, shown.stderr


def test_a_device_that_fails_gives_the_job_back(user: User, door: HubDoor) -> None:
    assert claim(door, device("flaky")) is None
    job_id = user.submit(user.model(), "flaky")
    door.finish(taken(door, device("flaky")).attempt, Outcome(error=errors.DeviceLost("it fell off").to_dict()))
    assert user.state(job_id) == pb.JOB_STATE_CREATED
    assert taken(door, device("flaky")).number == 2


def test_a_device_runs_one_job_at_a_time(user: User, door: HubDoor) -> None:
    assert claim(door, device("single")) is None
    model_id = user.model()
    jobs = [user.submit(model_id, "single") for _ in range(2)]
    first = taken(door, device("single"))
    assert claim(door, device("single")) is None, "the board is held"
    door.finish(first.attempt, Outcome())
    assert {first.job, taken(door, device("single")).job} == set(jobs)


def test_an_agent_that_hangs_up_while_it_waits_is_given_no_job(hub: RunningHub, user: User, door: HubDoor) -> None:
    """Bug 1 of the engine's trials: a dead agent's open question claimed the next job for it."""
    gone, alive = device("hangup", 1), device("hangup", 2)
    assert claim(door, alive) is None
    headers = {"Authorization": f"Bearer {hub.agent_token}"}
    body = {"protocol": AGENT_PROTOCOL, "wait_s": 20, "device": {"id": gone.id, "name": gone.name, "os": gone.os}}
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{hub.url}/api/agent/v1/claim", json=body, headers=headers, timeout=0.5)
    job_id = user.submit(user.model(), "hangup")
    found = taken(door, alive, wait_s=20)
    assert (found.job, found.number) == (job_id, 1), "no lease had to run out"


def test_no_notice_is_lost_between_a_claim_and_the_wait_after_it(hub: RunningHub, user: User, door: HubDoor) -> None:
    """Bug 2 of the engine's trials: jobs come in while agents are just about to wait."""
    offers = [device("race", number) for number in range(4)]
    for offer in offers:
        assert claim(door, offer) is None
    model_id = user.model()
    found: list[str] = []

    def serve(offer: DeviceOffer) -> None:
        own = HubDoor(hub.url, hub.agent_token)
        while (assignment := own.claim(ClaimRequest(AGENT_PROTOCOL, offer, 4.0))) is not None:
            found.append(assignment.job)
            own.finish(assignment.attempt, Outcome())
        own.close()

    threads = [threading.Thread(target=serve, args=(offer,)) for offer in offers]
    for thread in threads:
        thread.start()
    jobs = [user.submit(model_id, "race") for _ in range(40)]
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(jobs), "each once"


def test_who_has_many_jobs_waiting_stands_further_back(user: User, door: HubDoor) -> None:
    assert claim(door, device("fair")) is None
    model_id = user.model()
    for _ in range(3):
        user.submit(model_id, "fair")
    order = []
    for _ in range(3):
        found = taken(door, device("fair"))
        order.append(found.job)
        door.finish(found.attempt, Outcome())
    assert len(set(order)) == 3


def test_doors_are_for_their_own_tokens(hub: RunningHub) -> None:
    wrong = HubDoor(hub.url, hub.token)
    with pytest.raises(errors.Unauthorized):
        wrong.claim(ClaimRequest(AGENT_PROTOCOL, device("door")))
    wrong.close()
    for header in (f"token {hub.agent_token}", "token dl_wrong", "token", "Basic eDp5", ""):
        answer = httpx.get(
            f"{hub.url}/api/v1/devices/", headers={"Authorization": header} if header else {}, timeout=30
        )
        assert answer.status_code == 401, header


def test_another_agent_protocol_is_refused_with_both_numbers(hub: RunningHub, door: HubDoor) -> None:
    with pytest.raises(errors.Conflict, match=f"protocol 99, this hub speaks {AGENT_PROTOCOL}"):
        door.claim(ClaimRequest(99, device("old")))


def test_requests_that_cannot_work_say_why(user: User, door: HubDoor) -> None:
    claim(door, device("bad"))
    model_id = user.model()
    asked = pb.InferenceJob(name="a/b", is_profiling_on=True)
    asked.model.model_id, asked.device.name = model_id, "bad"
    for change, status, text in (
        ({}, 400, "'/'"),
        ({"name": "n", "options": "--nonsense 1"}, 400, "nonsense"),
        ({"name": "n" * 1000}, 400, "256"),
    ):
        message = pb.InferenceJob()
        message.CopyFrom(asked)
        for name, value in change.items():
            setattr(message, name, value)
        answer = user.http.post("jobs/", content=pb.Job(inference_job=message).SerializeToString())
        assert (answer.status_code, text in answer.json()["detail"]) == (status, True), answer.text
    answer = user.http.post("jobs/", content=pb.Job(compile_job=pb.CompileJob()).SerializeToString())
    assert answer.status_code == 400
    assert "compile job" in answer.json()["detail"]
    assert user.http.post("jobs/", content=b"\xff\xff\xff").status_code == 400
    assert user.http.get("jobs/jnothing/").status_code == 404


def test_uploads_that_are_not_whole_are_refused(user: User, door: HubDoor) -> None:
    claim(door, device("round"))
    model_id = user.post("models/", pb.Model(name="half", model_type=pb.MODEL_TYPE_ONNX)).id
    begun = pb.FileMultipartUploadURL.FromString(
        user.http.get(f"models/{model_id}/multipart_upload/", params={"file_size": 10}).content
    )
    assert httpx.put(begun.urls[0], content=b"123", timeout=30).status_code == 422
    complete = pb.FileMultipartUploadComplete(upload_id=begun.upload_id, etags=["x"])
    answer = user.http.post(f"models/{model_id}/multipart_upload/", content=complete.SerializeToString())
    assert answer.status_code == 409
    assert httpx.put(begun.urls[0] + "x", content=b"1234567890", timeout=30).status_code == 404
    asked = pb.InferenceJob(name="n", is_profiling_on=True)
    asked.model.model_id, asked.device.name = model_id, "round"
    assert user.http.post("jobs/", content=pb.Job(inference_job=asked).SerializeToString()).status_code == 409


def test_old_clients_are_told_so(hub: RunningHub) -> None:
    answer = httpx.get(
        f"{hub.url}/api/v1/devices/",
        headers={"Authorization": f"token {hub.token}", "Client-Version": "0.30.0"},
        timeout=30,
    )
    assert answer.status_code == 426
    assert "pip install --upgrade" in answer.json()["detail"]


def test_a_job_whose_models_bytes_are_gone_fails_and_holds_up_no_other(
    user: User, door: HubDoor, postgres: OwnDatabase
) -> None:
    """A hand in the database, or a restored part of one, did that: see `dynolab hub check`."""
    assert claim(door, device("gone")) is None
    broken_model, sound_model = user.model(), user.model()
    broken, sound = user.submit(broken_model, "gone"), user.submit(sound_model, "gone")
    asyncio.run(_said(postgres.dsn, f"UPDATE model SET blob_id = NULL WHERE id = '{broken_model}'"))
    assert taken(door, device("gone")).job == sound
    assert user.state(broken) == pb.JOB_STATE_FAILED


async def _said(dsn: str, statement: str) -> None:
    connection = await asyncpg.connect(dsn)
    await connection.execute(statement)
    await connection.close()
