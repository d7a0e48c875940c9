"""What a client says while it waits for a hub: one that takes no more, one that is away."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("pgqueuer")

from dynolab import errors
from dynolab.agent.http import HubDoor
from dynolab.client.client import Client, Device
from dynolab.client.settings import ClientConfig
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer, Outcome
from dynolab.testing.commands import Done, command
from dynolab.testing.running_hub import RunningHub, running_hub

MODEL = Path(__file__).parents[2] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"
SUBMIT = ("submit", "profile", MODEL, "--device", "Bench", "--no-wait")
Command = Callable[..., Done]
Quota = Callable[[object], None]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """One with a device that does nothing."""
    with running_hub(tmp_path_factory.mktemp("hub"), "--no-agent") as running:
        announce(running)
        yield running


BENCH = DeviceOffer("bench-1", "Bench", "14", ("framework:tflite",))


def announce(hub: RunningHub) -> None:
    with closing(HubDoor(hub.url, hub.agent_token)) as door:
        door.claim(ClaimRequest(AGENT_PROTOCOL, BENCH))


def submitted(hub: RunningHub) -> str:
    """The id of a job that waits."""
    with closing(Client(ClientConfig(hub.token, hub.url, verbose=False))) as client:
        return str(client.submit_profile_job(MODEL, Device("Bench")).job_id)


@pytest.fixture
def client(hub: RunningHub) -> Iterator[Client]:
    with closing(Client(ClientConfig(hub.token, hub.url, verbose=False))) as found:
        yield found


def variables(hub: RunningHub) -> dict[str, str]:
    return {"DYNOLAB_HUB_URL": hub.url, "DYNOLAB_HUB_TOKEN": hub.token}


@pytest.fixture
def dynolab(hub: RunningHub) -> Command:
    return lambda *arguments: command(*arguments, environment=variables(hub))


def carry_out(*arguments: object) -> None:
    whole = [sys.executable, "-m", "dynolab.cli.main", *map(str, arguments)]
    subprocess.run(whole, check=True, capture_output=True)


@pytest.fixture
def quota(hub: RunningHub, client: Client) -> Iterator[Quota]:
    """Sets how many jobs the user may have at once; the jobs that the test leaves are cancelled."""
    email = client.api.get("me")["email"]

    def bound(jobs: object) -> None:
        carry_out("hub", "organisation", "--data", hub.data, "quota", email, "--jobs", jobs)

    yield bound
    bound("default")
    for one in client.transport.list_documents("jobs", 0, 100, state="queued"):
        client.get_job(one["id"]).cancel()


def heeding() -> None:
    """A shell that starts the tests in the background has them ignore Ctrl-C; the command must not inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def started(hub: RunningHub, *arguments: object) -> Iterator[subprocess.Popen[str]]:
    """A command that goes on, until Ctrl-C if it does not end before."""
    whole = [sys.executable, "-m", "dynolab.cli.main", *map(str, arguments)]
    with subprocess.Popen(
        whole, env={**os.environ, **variables(hub)}, stderr=subprocess.PIPE, text=True, preexec_fn=heeding
    ) as process:
        yield process
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate()


def said(process: subprocess.Popen[str], text: str) -> str:
    """The first line on standard error with this text."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if text in line:
            return line.strip()
    raise AssertionError(f"{text!r} was not said: {lines}")


def test_a_full_quota_of_jobs_is_told_once_while_it_is_waited_for(
    hub: RunningHub, client: Client, quota: Quota
) -> None:
    client.submit_profile_job(MODEL, Device("Bench"))
    quota(1)
    with started(hub, *SUBMIT) as waiting:
        told = said(waiting, "1 jobs that wait or run, of 1 at most")
    assert told.endswith("; trying again every 20 s for up to 10 min, Ctrl-C ends it")
    assert waiting.returncode == 130


def test_a_quota_of_no_jobs_is_refused_at_once(client: Client, dynolab: Command, quota: Quota) -> None:
    quota(0)
    refused = dynolab(*SUBMIT)
    assert (refused.returncode, "its quota is 0 jobs" in refused.stderr) == (2, True), refused.stderr
    assert "an administrator of the hub sets these bounds" in refused.stderr
    with pytest.raises(errors.Forbidden, match="may have no jobs"):
        client.submit_profile_job(MODEL, Device("Bench"))


@pytest.mark.parametrize("kind", ["profile", "inference", "compare"])
def test_what_nobody_waits_for_prints_its_id_alone(kind: str, client: Client, dynolab: Command, quota: Quota) -> None:
    data = client.upload_dataset({"input_1": [np.zeros((1, 49, 10, 1), np.float32)]})
    models = (MODEL, MODEL) if kind == "compare" else (MODEL,)
    more = ("--inputs", data.dataset_id) if kind == "inference" else ()
    done = dynolab("submit", kind, *models, "--device", "Bench", "--no-wait", *more)
    assert done.returncode == 0, done.stderr
    job = client.get_job(done.stdout.removesuffix("\n"))
    assert (job.job_type, job.url in done.stderr) == (kind, True)


def test_a_waiting_command_says_when_the_hub_is_away_and_when_it_is_back(tmp_path: Path) -> None:
    with running_hub(tmp_path, "--no-agent") as first:
        announce(first)
        job_id = submitted(first)
        with started(first, "jobs", "watch", job_id) as waiting:
            said(waiting, "next in the queue")
            first.end()
            away = said(waiting, "cannot be reached")
            assert away.startswith(f"the hub at {first.url} cannot be reached: ")
            assert away.endswith("; it is tried for up to 60 s")
            with running_hub(tmp_path, "--no-agent", port=int(first.url.rpartition(":")[2])) as second:
                said(waiting, "the hub is back after ")
                assert command("jobs", "cancel", job_id, environment=variables(second)).returncode == 0
                assert waiting.wait() == 1


def test_a_job_tells_which_attempt_it_is_and_why_those_before_ended(hub: RunningHub, dynolab: Command) -> None:
    tried = replace(BENCH, id="tried-1", name="Tried")
    with closing(HubDoor(hub.url, hub.agent_token)) as door:
        assert door.claim(ClaimRequest(AGENT_PROTOCOL, tried)) is None
        job_id = dynolab("submit", "profile", MODEL, "--device", "Tried", "--no-wait").stdout.strip()
        first = door.claim(ClaimRequest(AGENT_PROTOCOL, tried, 10))
        assert first is not None
        assert "attempt" not in dynolab("jobs", "show", job_id).stdout
        door.finish(first.attempt, Outcome(error=errors.DeviceLost("it fell off").to_dict()))
        assert "\nattempt 1 failed: it fell off\n" in dynolab("jobs", "show", job_id).stdout
        second = door.claim(ClaimRequest(AGENT_PROTOCOL, tried, 10))
        assert second is not None
        assert "\nattempt 2; attempt 1 failed: it fell off\n" in dynolab("jobs", "show", job_id).stdout
        door.finish(second.attempt, Outcome())
    dynolab("jobs", "cancel", job_id)
