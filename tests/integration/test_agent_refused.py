"""An agent whose hub, or a proxy before it, does not take what it is sent: the job ends with the reason, the agent goes on."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("ai_edge_litert")

from dynolab import errors
from dynolab.agent.http import HubDoor
from dynolab.client.client import Client
from dynolab.client.inference_jobs import InferenceJob
from dynolab.client.settings import ClientConfig
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.testing import known_runtimes
from dynolab.testing.running_hub import RunningHub
from dynolab.testing.waiting import until

from .proxy import Proxy, passing

MODEL = Path(__file__).parents[2] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"
ENDED = ("done", "failed", "cancelled")
LOG_MAX_BYTES = 64 << 20
"""As docs/hub.md says it."""


@pytest.fixture(scope="module")
def client(hub: RunningHub) -> Iterator[Client]:
    opened = Client(ClientConfig(api_url=hub.url, web_url=hub.url, api_token=hub.token, verbose=False))
    yield opened
    opened.close()


@pytest.fixture(scope="module")
def proxy(hub: RunningHub) -> Iterator[Proxy]:
    with passing(hub.url) as server:
        yield server


@pytest.fixture(scope="module")
def agent(
    hub: RunningHub, proxy: Proxy, client: Client, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[subprocess.Popen[bytes]]:
    """An agent that reaches the hub through the proxy."""
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", proxy.url, "--name", "behind"]
    environment = {
        **os.environ,
        "DYNOLAB_AGENT_TOKEN": hub.agent_token,
        "DYNOLAB_STATE": str(known_runtimes.give(tmp_path_factory.mktemp("state"))),
    }
    process = subprocess.Popen(command, env=environment, start_new_session=True)
    until(lambda: client.get_devices("behind"), "the agent")
    yield process
    assert process.poll() is None, "it still serves"
    process.terminate()
    process.wait(20)


@contextmanager
def refusing(proxy: Proxy, path: str, status: int, body: bytes = b"<h1>no</h1>", times: int = 10**9) -> Iterator[None]:
    proxy.refused, proxy.refuse, proxy.most = [], {path: (status, body)}, times
    try:
        yield
    finally:
        proxy.refuse = {}


def ended(client: Client) -> InferenceJob:
    """A profile job of the agent's, once it is over."""
    job = client.submit_profile_job(
        MODEL, client.get_devices("behind")[0], options="--max_profiler_iterations 1 --repeats 1"
    )
    assert isinstance(job, InferenceJob)
    until(lambda: client.get_job(job.job_id).document["state"] in ENDED, "the job's end")
    return client.get_job(job.job_id)


@pytest.mark.parametrize(
    ("status", "body", "code"),
    [
        (413, b"<h1>Request Entity Too Large</h1>", "TooLarge"),
        pytest.param(
            507,
            b'{"code": "StorageFull", "message": "no room", "hint": "ask", "details": {}}',
            "StorageFull",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_result_that_is_not_taken_fails_the_job_with_the_reason(
    status: int, body: bytes, code: str, client: Client, proxy: Proxy, agent: subprocess.Popen[bytes]
) -> None:
    with refusing(proxy, "/api/agent/v1/files/result/", status, body):
        job = ended(client)
    assert job.document["state"] == "failed"
    assert job.document["failure"]["code"] == code
    assert job.document["failure"]["message"].startswith("the hub did not take the result of ")
    assert "inspect" in job.log(), "the log says what was done nevertheless"
    assert proxy.refused == ["/api/agent/v1/files/result/"], "it is not sent again and again"
    assert agent.poll() is None


@pytest.mark.slow
def test_a_log_that_is_not_taken_leaves_its_end_and_the_result(
    client: Client, proxy: Proxy, agent: subprocess.Popen[bytes]
) -> None:
    with refusing(proxy, "/api/agent/v1/files/log/", 413, times=1):
        job = ended(client)
    assert proxy.refused == ["/api/agent/v1/files/log/"]
    assert job.document["state"] == "done"
    first, *rest = job.log().splitlines()
    assert "did not take the log of" in first
    assert rest[-1]
    with refusing(proxy, "/api/agent/v1/files/log/", 413):
        assert ended(client).document["state"] == "done"
    assert len(proxy.refused) == 2


@pytest.mark.slow
def test_an_end_that_is_not_taken_is_told_in_short(
    client: Client, proxy: Proxy, agent: subprocess.Popen[bytes]
) -> None:
    with refusing(proxy, "/finish", 413, times=1):
        job = ended(client)
    assert job.document["failure"]["code"] == "TooLarge"
    assert "of its end" in job.document["failure"]["message"]


@pytest.mark.slow
def test_news_that_is_not_taken_leaves_the_lease_renewed(
    client: Client, proxy: Proxy, agent: subprocess.Popen[bytes]
) -> None:
    with refusing(proxy, "/renew", 413, times=1):
        job = ended(client)
    assert proxy.refused == ["/renew"]
    assert job.document["state"] == "done"
    assert len(job.document["attempts"]) == 1


def test_the_hub_itself_says_that_a_log_is_too_large(hub: RunningHub, client: Client, tmp_path: Path) -> None:
    """The refusal comes before the bytes: the agent has to see it although nobody reads on."""
    offer = DeviceOffer(id="large-1", name="large", os="1.0", attributes=("framework:tflite",))
    door = HubDoor(hub.url, hub.agent_token)
    try:
        assert door.claim(ClaimRequest(AGENT_PROTOCOL, offer)) is None
        client.submit_profile_job(MODEL, client.get_devices("large")[0])
        found = door.claim(ClaimRequest(AGENT_PROTOCOL, offer, 10.0))
        assert found is not None
        log = tmp_path / "log.txt"
        with log.open("wb") as file:
            file.truncate(LOG_MAX_BYTES + 1)
        with pytest.raises(errors.TooLarge, match=str(LOG_MAX_BYTES)):
            door.store(found.attempt, "log", log)
    finally:
        door.close()
