"""Devices that an agent reaches over ssh: they are devices of the hub, by their own facts, and jobs run on them."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from dynolab.client.client import Client, Device
from dynolab.client.settings import ClientConfig
from dynolab.testing import known_runtimes
from dynolab.testing.commands import command
from dynolab.testing.models import onnx_net
from dynolab.testing.running_hub import RunningHub
from dynolab.testing.waiting import until

from ..devices.fixtures import present
from ..devices.sshd import Sshd, sshd
from .test_board_lock import holding

LEAST = "--repeats 1 --max_profiler_iterations 1"


@pytest.fixture(scope="module")
def board() -> Iterator[Sshd]:
    with present("sshd", sshd()) as found:
        yield found


@pytest.fixture(scope="module")
def user(hub: RunningHub) -> Iterator[Client]:
    found = Client(ClientConfig(hub.token, hub.url, verbose=False))
    yield found
    found.close()


@contextmanager
def serving(hub: RunningHub, state: Path, board: Sshd, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """An agent that reaches the board, as the user whose ssh settings lead to it."""
    with board.as_home(), agent(hub, state, "--device", board.address, *more) as process:
        yield process


@contextmanager
def agent(hub: RunningHub, state: Path, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """An agent of this machine."""
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", hub.url]
    command += ["--token-file", str(hub.data / "agent.token"), *more]
    process = subprocess.Popen(command, env={**os.environ, "DYNOLAB_STATE": str(known_runtimes.give(state))})
    try:
        yield process
    finally:
        process.terminate()
        process.wait(30)


def test_a_board_is_a_device_of_the_hub_and_measures_for_it(
    hub: RunningHub, user: Client, board: Sshd, tmp_path: Path
) -> None:
    with serving(hub, tmp_path / "state", board, "--name", "the board", "--runtimes", "onnxruntime"):
        (found,) = until(lambda: user.get_devices("the board"), "device", within_s=120)
        assert "framework:onnx" in found.attributes
        assert "framework:tflite" not in found.attributes, "it was not asked for"
        job = user.submit_profile_job(onnx_net(tmp_path / "net.onnx"), Device("the board"), options=LEAST)
        profile = job.measured()
        assert profile.inference.time is not None
        assert not [stage for stage in profile.stages if stage.time is None and stage.reason is None]
        board.close()  # it is switched off
        lost = user.submit_profile_job(onnx_net(tmp_path / "again.onnx"), Device("the board"), options=LEAST)
        board.open()
        assert lost.wait().success, lost.log()
    assert board.processes() == []


def attempts(hub: RunningHub, job: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {hub.token}"}
    found = httpx.get(f"{hub.url}/api/hub/v1/jobs/{job}", headers=headers, timeout=30).json()
    return list(found["attempts"])


def boards(hub: RunningHub) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {hub.token}"}
    return list(httpx.get(f"{hub.url}/api/hub/v1/boards", headers=headers, timeout=30).json()["boards"])


def test_an_agent_waits_for_a_person_at_its_board_and_its_page_says_so(
    hub: RunningHub, user: Client, board: Sshd, tmp_path: Path
) -> None:
    with serving(hub, tmp_path / "state", board, "--name", "shared", "--runtimes", "onnxruntime"):
        until(lambda: any(one.name == "shared" for one in user.get_devices()), "device", within_s=120)
        with holding(board.address, "profile of a person's model"):
            job = user.submit_profile_job(onnx_net(tmp_path / "net.onnx"), Device("shared"), options=LEAST)

            def told() -> bool:
                return any("by" in (one["why"]) and "person's" in one["why"] for one in boards(hub))

            until(told, "word of the person on the board's page")
            assert not job.get_status().finished
        assert job.wait().success, job.log()
    *busy, last = attempts(hub, job.job_id)
    assert [one["failure"]["code"] for one in busy] == ["DeviceBusy"], "it was not tried in vain again and again"
    assert last["state"] == "done"
    assert board.processes() == []


def test_an_agent_waits_for_a_person_at_its_own_machine(
    hub: RunningHub, user: Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNOLAB_LOCKS", str(tmp_path / "locks"))
    with agent(hub, tmp_path / "state", "--name", "a desk"):
        with holding("", "profile of a person's model"):
            until(lambda: any("person's" in one["why"] for one in boards(hub)), "word of the person")
            job = user.submit_profile_job(onnx_net(tmp_path / "net.onnx"), Device("a desk"), options=LEAST)
            assert not job.get_status().finished
        assert job.wait().success, job.log()
    assert [one["state"] for one in attempts(hub, job.job_id)] == ["done"]


def test_the_devices_command_tells_what_it_finds(board: Sshd) -> None:
    with board.as_home():
        done = command("devices", "add", board.address, "--runtimes", "onnxruntime")
    assert done.returncode == 0, done.stderr
    assert "onnxruntime" in done.stdout
    assert f"dynolab profile MODEL --device {board.address}" in done.stdout
    assert f"dynolab agent --device {board.address}" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--device", "board"], "is no device's address"),
        (["--device", "ssh://a", "--device", "ssh://b", "--name", "x"], "cannot all be called"),
        (["--device", "ssh://a", "--simulate", "hexagon-v73"], "contradict each other"),
        (["--device", "ssh://a", "--runtimes", "onnx"], "Known: "),
    ],
)
def test_what_does_not_go_together(arguments: list[str], said: str) -> None:
    done = command("agent", "--hub", "http://127.0.0.1:9", *arguments)
    assert done.returncode == 2
    assert said in done.stderr
