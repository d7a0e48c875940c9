"""Devices that an agent reaches over ssh: they are devices of the hub, by their own facts, and jobs run on them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynolab.client.client import Client, Device
from dynolab.client.settings import ClientConfig
from dynolab.testing.models import onnx_net
from dynolab.testing.running_hub import RunningHub, running_hub

from ..devices.fixtures import present
from ..devices.sshd import Sshd, sshd


@pytest.fixture(scope="module")
def board() -> Iterator[Sshd]:
    with present("sshd", sshd()) as found:
        yield found


@pytest.fixture(scope="module")
def lone_hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    """A hub without an agent of its own."""
    with running_hub(tmp_path_factory.mktemp("hub"), "--no-agent") as found:
        yield found


@pytest.fixture(scope="module")
def user(lone_hub: RunningHub) -> Iterator[Client]:
    found = Client(ClientConfig(lone_hub.token, lone_hub.url, verbose=False))
    yield found
    found.close()


@contextmanager
def serving(hub: RunningHub, state: Path, board: Sshd, *more: str) -> Iterator[subprocess.Popen[bytes]]:
    """An agent that reaches the board, as the user whose ssh settings lead to it."""
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", hub.url]
    command += ["--token-file", str(hub.data / "agent.token"), "--device", board.address, *more]
    with board.as_home():
        process = subprocess.Popen(command, env={**os.environ, "DYNOLAB_STATE": str(state)})
        try:
            yield process
        finally:
            process.terminate()
            process.wait(30)


def until(holds: Callable[[], object], what: str, within_s: float = 120) -> None:
    end = time.monotonic() + within_s
    while not holds():
        assert time.monotonic() < end, f"no {what} within {within_s} s"
        time.sleep(0.2)


def test_a_board_is_a_device_of_the_hub_and_measures_for_it(
    lone_hub: RunningHub, user: Client, board: Sshd, tmp_path: Path
) -> None:
    with serving(lone_hub, tmp_path / "state", board, "--name", "the board", "--runtimes", "onnxruntime"):
        until(user.get_devices, "device")
        (found,) = user.get_devices()
        assert found.name == "the board"
        assert "framework:onnx" in found.attributes
        assert "framework:tflite" not in found.attributes, "it was not asked for"
        job = user.submit_profile_job(onnx_net(tmp_path / "net.onnx"), Device("the board"), options="--repeats 1")
        profile = job.measured()
        assert profile.inference.time is not None
        assert not [stage for stage in profile.stages if stage.time is None and stage.reason is None]
        board.close()  # it is switched off
        lost = user.submit_profile_job(onnx_net(tmp_path / "again.onnx"), Device("the board"), options="--repeats 1")
        board.open()
        assert lost.wait().success, lost.log()
    assert board.processes() == []


def test_the_devices_command_tells_what_it_finds(board: Sshd) -> None:
    with board.as_home():
        command = [
            sys.executable,
            "-m",
            "dynolab.cli.main",
            "devices",
            "add",
            board.address,
            "--runtimes",
            "onnxruntime",
        ]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
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
    command = [sys.executable, "-m", "dynolab.cli.main", "agent", "--hub", "http://127.0.0.1:9", *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert said in done.stderr
