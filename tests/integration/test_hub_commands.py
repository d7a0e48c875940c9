"""The commands that talk to a hub, as a person types them, against a real one with this machine as its device."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("ai_edge_litert")

from dynolab.testing.running_hub import RunningHub, running_hub

MODEL = Path(__file__).parents[2] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"
Command = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def dynolab(hub: RunningHub, tmp_path_factory: pytest.TempPathFactory) -> Command:
    """Runs the command with the settings of a user who has just signed in."""
    ini = tmp_path_factory.mktemp("settings") / "client.ini"
    environment = {**os.environ, "DYNOLAB_CLIENT_INI": str(ini)}
    environment.pop("DYNOLAB_HUB_URL", None)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "dynolab.cli.main", *map(str, arguments)]
        return subprocess.run(command, env=environment, capture_output=True, text=True, check=False)

    signed_in = run("login", "--from", hub.ini)
    assert signed_in.returncode == 0, signed_in.stderr
    assert hub.url in signed_in.stdout
    assert ini.stat().st_mode & 0o077 == 0, "the token is its owner's secret"
    return run


@pytest.fixture(scope="module")
def device(dynolab: Command) -> str:
    """This machine's name, once its agent has announced it."""
    end = time.monotonic() + 60
    while not (found := json.loads(dynolab("devices", "--json").stdout)) and time.monotonic() < end:
        time.sleep(0.2)
    return str(found[0]["name"])


def test_a_profile_on_a_device_prints_the_table_of_a_local_one(dynolab: Command, device: str, tmp_path: Path) -> None:
    done = dynolab(
        "profile", MODEL, "--device", device, "-o", tmp_path, "--options", "--max_profiler_iterations 20",
        "--require", "estimated_inference_time <= 10 s",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for text in (MODEL.name, "Compile", "First load", "Warm load", "Inference", "Verdict", "Layer"):
        assert text in done.stdout
    assert (tmp_path / "report.html").stat().st_size > 10_000
    profile = json.loads((tmp_path / "profile.json").read_text())
    assert profile["model"]["name"] == MODEL.name
    assert profile["request"]["requirements"] == ["estimated_inference_time <= 10 s"]
    listed = json.loads(dynolab("jobs", "--json").stdout)
    assert listed[0]["state"] == "done"
    assert listed[0]["device"]["name"] == device
    assert "Inference" in dynolab("jobs", "show", listed[0]["id"]).stdout
    assert "inspect" in dynolab("jobs", "log", listed[0]["id"]).stdout
    assert listed[0]["id"] in dynolab("jobs").stdout


def test_a_submitted_job_can_be_watched_run_again_cancelled_and_deleted(dynolab: Command, device: str) -> None:
    options = "--max_profiler_iterations 10"
    made = dynolab("submit", "profile", MODEL, "--device", device, "--no-wait", "--json", "--options", options)
    assert made.returncode == 0, made.stderr
    job_id = json.loads(made.stdout)["id"]
    watched = dynolab("jobs", "watch", job_id)
    assert (watched.returncode, "done" in watched.stdout) == (0, True), watched.stderr
    again = dynolab("jobs", "rerun", job_id).stdout.strip()
    cancelled = dynolab("jobs", "cancel", again)
    assert cancelled.returncode == 0, cancelled.stderr
    assert dynolab("jobs", "watch", again).returncode == 1
    assert dynolab("jobs", "delete", job_id).returncode == 0
    assert dynolab("jobs", "show", job_id).returncode == 2


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("profile", MODEL, "--device", "no such device"), "no such device"),
        (("profile", MODEL, "--device", "x", "--seed", "3"), "--device takes"),
        (("submit", "profile", Path(__file__), "--device", "x"), "holds no model"),
        (("submit", "inference", MODEL, "--device", "x", "--inputs", "dnothing"), "no dataset 'dnothing'"),
        (("jobs", "log", "jnothing"), "no job 'jnothing'"),
        (("jobs", "--state", "lost"), "lost"),
        (("login", "ftp://x", "--token", "t"), "no hub's address"),
        (("login", "http://127.0.0.1:9", "--token", "t"), "cannot be reached"),
        (("login",), "which hub?"),
        (("agent", "--hub", "http://127.0.0.1:9"), "needs a token"),
        (("hub", "--port", "99999"), "99999"),
    ],
)
def test_what_cannot_work_says_why(dynolab: Command, arguments: tuple[object, ...], text: str) -> None:
    done = dynolab(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
