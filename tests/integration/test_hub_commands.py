"""The commands that talk to a hub, as a person types them, against a real one with this machine as its device."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

pytest.importorskip("pgqueuer")
pytest.importorskip("ai_edge_litert")

from dynolab.agent.http import HubDoor
from dynolab.jobs._datasets import h5
from dynolab.spec.agents import AGENT_PROTOCOL, ClaimRequest, DeviceOffer
from dynolab.testing.commands import Done, command
from dynolab.testing.running_hub import RunningHub, running_hub
from dynolab.testing.waiting import until

MODEL = Path(__file__).parents[2] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"
ONNX = MODEL.with_name("ch_ppocr_mobile_v2.0_cls_infer.onnx")
Command = Callable[..., subprocess.CompletedProcess[str] | Done]


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Settings of a user's own, still empty."""
    ini = tmp_path_factory.mktemp("settings") / "client.ini"
    found = {**os.environ, "DYNOLAB_CLIENT_INI": str(ini)}
    found.pop("DYNOLAB_HUB_URL", None)
    found["COLUMNS"] = "240"  # tables of one line a row, whatever the tests are run in
    return found


@pytest.fixture(scope="module")
def dynolab(hub: RunningHub, environment: dict[str, str]) -> Command:
    """Runs the command with the settings of a user who has just signed in."""
    ini = Path(environment["DYNOLAB_CLIENT_INI"])

    def run(*arguments: object) -> subprocess.CompletedProcess[str] | Done:
        if arguments[0] not in ("agent", "hub"):
            return command(*arguments, environment=environment)
        whole = [sys.executable, "-m", "dynolab.cli.main", *map(str, arguments)]
        return subprocess.run(
            whole, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False
        )

    signed_in = run("login", "--from", hub.ini)
    assert signed_in.returncode == 0, signed_in.stderr
    assert hub.url in signed_in.stdout
    assert ini.stat().st_mode & 0o077 == 0, "the token is its owner's secret"
    return run


@pytest.fixture(scope="module")
def device(dynolab: Command) -> str:
    """This machine's name, once its agent has announced it."""
    found = until(lambda: json.loads(dynolab("devices", "--json").stdout), "this machine's agent")
    return str(found[0]["name"])


def test_a_profile_on_a_device_prints_the_table_of_a_local_one(dynolab: Command, device: str, tmp_path: Path) -> None:
    done = dynolab(
        "profile", MODEL, "--device", device, "-o", tmp_path, "--options", "--max_profiler_iterations 20",
        "--repeats", "1", "--require", "estimated_inference_time <= 10 s",
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    for text in (MODEL.name, "Compile", "First load", "Warm load", "Inference", "Verdict", "Layer"):
        assert text in done.stdout
    assert (tmp_path / "report.html").stat().st_size > 10_000
    profile = json.loads((tmp_path / "profile.json").read_text())
    assert profile["model"]["name"] == MODEL.name
    assert profile["request"]["requirements"] == ["estimated_inference_time <= 10 s"]
    listed = json.loads(dynolab("jobs", "--json").stdout)
    assert listed[0]["requirements"] == ["estimated_inference_time <= 10 s"]
    assert listed[0]["summary"]["requirements"] == {"met": 1}
    assert listed[0]["state"] == "done"
    assert listed[0]["device"]["name"] == device
    assert "Inference" in dynolab("jobs", "show", listed[0]["id"]).stdout
    assert "inspect" in dynolab("jobs", "log", listed[0]["id"]).stdout
    assert listed[0]["id"] in dynolab("jobs").stdout


def test_what_compile_made_is_kept_and_a_requirement_decides_the_exit(
    dynolab: Command, device: str, tmp_path: Path
) -> None:
    pytest.importorskip("onnxruntime")
    options = ("--options", "--max_profiler_iterations 1 --repeats 1", "--device", device)
    done = dynolab("submit", "profile", ONNX, *options, "--require", "model_size <= 1 kB", "--keep-artifact")
    assert (done.returncode, "1 not met" in done.stdout) == (1, True), done.stdout + done.stderr
    job_id = json.loads(dynolab("jobs", "--limit", "1", "--json").stdout)[0]["id"]
    fetched = dynolab("jobs", "artifact", job_id, "-o", tmp_path)
    assert fetched.returncode == 0, fetched.stderr
    with zipfile.ZipFile(fetched.stdout.strip()) as archive:
        assert len(archive.read("optimized.onnx")) > ONNX.stat().st_size / 2
    kept = tmp_path / "kept"
    shaped = dynolab("profile", ONNX, *options, "-o", kept, "--keep-artifact", "--input-shape", "x=1,3,48,192")
    assert shaped.returncode == 0, shaped.stderr
    profile = json.loads((kept / "profile.json").read_text())
    assert profile["inputs"][0]["spec"]["shape"] == [1, 3, 48, 192]
    assert (profile["request"]["repeats"], profile["plan"]["memory_runs"]["first_load"]) == (1, 1)
    assert profile["notices"] == [] or all(one["code"] != "default-shape" for one in profile["notices"])
    assert (kept / "artifact" / "optimized.onnx").exists()
    without = json.loads(dynolab("submit", "profile", ONNX, *options, "--no-wait", "--json").stdout)["id"]
    refused = dynolab("jobs", "artifact", without)
    dynolab("jobs", "cancel", without)
    assert (refused.returncode, "was not to keep" in refused.stderr) == (2, True)


def test_a_submitted_job_can_be_watched_run_again_cancelled_and_deleted(dynolab: Command, device: str) -> None:
    options = "--max_profiler_iterations 1 --repeats 1"
    made = dynolab("submit", "profile", MODEL, "--device", device, "--no-wait", "--json", "--options", options)
    assert made.returncode == 0, made.stderr
    job_id = json.loads(made.stdout)["id"]
    watched = dynolab("jobs", "watch", job_id)
    assert (watched.returncode, "done" in watched.stdout) == (0, True), watched.stderr
    behind = dynolab("submit", "profile", MODEL, "--device", device, "--no-wait", "--json", "--options", options,
                     "--priority", "5", "--deadline", "600", "--waits-for", job_id)  # fmt: skip
    document = json.loads(behind.stdout)
    assert (document["priority"], document["deadline_s"], document["waits_for"]) == (5, 600, [job_id])
    dynolab("jobs", "cancel", document["id"])
    again = dynolab("jobs", "rerun", job_id).stdout.strip()
    cancelled = dynolab("jobs", "cancel", again)
    assert cancelled.returncode == 0, cancelled.stderr
    assert dynolab("jobs", "watch", again).returncode == 1
    assert dynolab("jobs", "delete", job_id).returncode == 0
    assert dynolab("jobs", "show", job_id).returncode == 2


def listed(dynolab: Command, *arguments: object) -> list[dict[str, Any]]:
    done = dynolab(*arguments, "--json")
    assert done.returncode == 0, done.stderr
    found: list[dict[str, Any]] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("kind", ["models", "datasets"])
def test_models_and_datasets_are_listed_uploaded_fetched_and_deleted(
    dynolab: Command, kind: str, tmp_path: Path
) -> None:
    file = ONNX
    if kind == "datasets":
        file = tmp_path / "samples.h5"
        h5.write(file, {"x": [np.zeros((1, 3), np.float32)]})
    assert f"{kind} upload" in dynolab(kind, "--name", "").stdout or listed(dynolab, kind), "what makes the first one"
    names = [f"[first] {kind}", f"second {kind}"]
    ids = [dynolab(kind, "upload", file, "--name", name).stdout.strip() for name in names]
    assert [one["id"] for one in listed(dynolab, kind, "--limit", 2)] == ids[::-1], "the newest first"
    assert [one["id"] for one in listed(dynolab, kind, "--limit", 1, "--offset", 1)] == ids[:1]
    assert [one["id"] for one in listed(dynolab, kind, "--name", "[FIRST]")] == ids[:1]
    assert listed(dynolab, kind, "--creator", "nobody@example.org") == []
    table = dynolab(kind)
    assert all(text in table.stdout for text in (*ids, *names, "admin@localhost")), table.stdout
    assert f"no {kind[:-1]} fits" in dynolab(kind, "--name", "no such name").stdout
    shown = dynolab(kind, "show", ids[0])
    assert (ids[0] in shown.stdout, names[0] in shown.stdout, "shared_with" in shown.stdout) == (True, True, True)
    fetched = tmp_path / "fetched"
    assert dynolab(kind, "download", ids[0], "-o", fetched).stdout.strip() == str(fetched)
    assert fetched.read_bytes() == file.read_bytes()
    assert dynolab(kind, "rename", ids[0], "other").returncode == 0
    assert listed(dynolab, kind, "--name", "other")[0]["id"] == ids[0]
    for id in ids:
        assert dynolab(kind, "delete", id).returncode == 0
        gone = dynolab(kind, "show", id)
        assert (gone.returncode, id in gone.stderr) == (2, True)
    assert dynolab(kind, "upload", tmp_path / "nothing").returncode == 2


def test_models_are_listed_by_format_and_project(dynolab: Command, hub: RunningHub) -> None:
    assert command("hub", "--data", hub.data, "organisation", "add", "acme", "admin@localhost").returncode == 0
    assert command("hub", "--data", hub.data, "organisation", "project", "acme", "vision").returncode == 0
    here = dynolab("models", "upload", ONNX, "--project", "acme.vision").stdout.strip()
    there = dynolab("models", "upload", MODEL, "--project", "").stdout.strip()
    assert [one["id"] for one in listed(dynolab, "models", "--project", "acme.vision")] == [here]
    assert "acme.vision" in dynolab("models").stdout, "beside others its project is named"
    assert there in [one["id"] for one in listed(dynolab, "models", "--kind", "tflite")]
    assert here not in [one["id"] for one in listed(dynolab, "models", "--kind", "tflite")]
    assert dynolab("models", "--project", "acme.nowhere").returncode == 2


def test_tokens_are_listed_and_revoked(dynolab: Command, hub: RunningHub) -> None:
    made = command("hub", "--data", hub.data, "account", "token", "admin@localhost", "--scope", "read")
    assert made.returncode == 0
    newest = listed(dynolab, "token", "list")[0]
    assert newest["scopes"][-1] == "read"
    table = dynolab("token", "list").stdout
    assert (newest["id"] in table, "made by whoever runs" in table) == (True, True)
    assert dynolab("token", "revoke", newest["id"]).returncode == 0
    assert newest["id"] not in [one["id"] for one in listed(dynolab, "token", "list")]
    assert newest["id"] in [one["id"] for one in listed(dynolab, "token", "list", "--all")]
    refused = dynolab("token", "revoke", "nothing")
    assert (refused.returncode, "'nothing'" in refused.stderr) == (2, True)


@pytest.mark.slow
def test_a_device_measures_what_the_command_names(dynolab: Command, device: str, tmp_path: Path) -> None:
    values = tmp_path / "values.npy"
    np.save(values, np.full((1, 50, 10, 1), 7, np.float32))
    few = ("--options", "--max_profiler_iterations 10 --repeats 1")
    done = dynolab("profile", MODEL, "--device", device, "-r", "litert", "--input-file", f"input_1={values}", "--format",
                   "json", *few)  # fmt: skip
    assert done.returncode == 0, done.stderr
    profile = json.loads(done.stdout)
    assert profile["runtime"]["name"] == "litert"
    assert "--runtime litert" in profile["request"]["options"]
    assert ".npy" in profile["inputs"][0]["source"]
    told = [line.strip() for line in done.stderr.splitlines()]
    assert told.count("done") == 1
    stages = {line.partition(":")[0].removesuffix(" memory") for line in told}
    assert stages & {"inspect", "compile", "first load", "inference"}, "without a terminal, progress is lines"
    data = tmp_path / "data.h5"
    h5.write(data, {"input_1": [np.zeros((1, 50, 10, 1), np.float32)]})
    assert dynolab("profile", MODEL, "--device", device, "--inputs", data, *few).returncode == 0
    no_model = dynolab("profile", Path(__file__), "--device", device)
    assert (no_model.returncode, "holds no model" in no_model.stderr) == (2, True), no_model.stderr
    refused = dynolab("profile", MODEL, "--device", device, "-r", "onnxruntime")
    assert (refused.returncode, "does not run a model of the kind tflite" in refused.stderr) == (2, True), (
        refused.stderr
    )


def heeding() -> None:
    """A shell that starts the tests in the background has them ignore Ctrl-C; the command must not inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_interrupted_waiting_says_how_to_come_back(
    number: signal.Signals, dynolab: Command, environment: dict[str, str], device: str
) -> None:
    long = ("--options", "--max_profiler_iterations 1000000 --max_profiler_time 60")
    job_id = json.loads(dynolab("submit", "profile", MODEL, "--device", device, "--no-wait", "--json", *long).stdout)[
        "id"
    ]
    command = [sys.executable, "-m", "dynolab.cli.main", "jobs", "watch", job_id]
    watching = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True, preexec_fn=heeding)
    assert watching.stderr is not None
    assert watching.stderr.readline().strip() != ""
    watching.send_signal(number)
    said = watching.stderr.read()
    watching.stderr.close()
    assert watching.wait() == 128 + number
    assert f"`dynolab jobs watch {job_id}`" in said
    assert "nothing was kept" not in said
    assert "Traceback" not in said
    assert json.loads(dynolab("jobs", "cancel", job_id, "--json").stdout)["id"] == job_id
    assert json.loads(dynolab("jobs", "watch", job_id, "--json").stdout)["state"] == "cancelled"


def test_what_the_device_cannot_run_is_refused_before_anything_goes_up(
    hub: RunningHub, dynolab: Command, device: str
) -> None:
    def models() -> int:
        headers = {"Authorization": f"Bearer {hub.token}"}
        return len(httpx.get(f"{hub.url}/api/hub/v1/models", headers=headers, timeout=30).json()["models"])

    before = models()
    for verb in (("submit", "profile"), ("profile",)):
        refused = dynolab(*verb, ONNX, "--device", device, "--options", "--runtime litert")
        assert refused.returncode == 2
        assert "the runtime 'litert' does not run a model of the kind onnx" in refused.stderr
    assert models() == before


def test_the_hub_says_when_this_machine_is_a_device(hub: RunningHub, device: str) -> None:
    said = f"agent: this machine is now the device {device}: dynolab submit profile MODEL --device {device}\n"
    until(lambda: any(line.endswith(f"Z {said}") for line in hub.lines), "the agent's line")
    assert any(f"dynolab login --from {hub.ini}" in line for line in hub.lines)


def matching(lines: list[str], said: str) -> list[str]:
    return [one for one in lines if said in one]


def test_lines_of_hub_and_agent_begin_with_their_time_where_nothing_else_keeps_it(hub: RunningHub) -> None:
    for said in ("hub ready at ", "agent: this machine is now the device "):
        [line] = until(partial(matching, hub.lines, said), said)
        at = datetime.strptime(line.partition(" ")[0], "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=UTC)
        assert abs(datetime.now(UTC) - at) < timedelta(hours=3)
        assert line.partition(" ")[2].startswith(said)


@pytest.mark.parametrize(("journal", "begins"), [("{0.st_dev}:{0.st_ino}", "the model"), ("1:2", "2"), ("", "2")])
def test_lines_in_systemds_journal_have_no_time_of_their_own(journal: str, begins: str, tmp_path: Path) -> None:
    code = "import logging; from dynolab import logs; logs.configure('text', level=30, text='%(message)s'); logging.warning('the model')"
    with (tmp_path / "log").open("w") as file:
        environment = {**os.environ, "JOURNAL_STREAM": journal.format(os.fstat(file.fileno()))}
        subprocess.run([sys.executable, "-c", code], stderr=file, env=environment, check=True)
    assert (tmp_path / "log").read_text().startswith(begins)


def test_a_job_that_waits_says_for_what_and_on_what_terms(hub: RunningHub, dynolab: Command) -> None:
    door = HubDoor(hub.url, hub.agent_token)  # a device that takes nothing
    assert door.claim(ClaimRequest(AGENT_PROTOCOL, DeviceOffer("idle-1", "idle", "1", ("framework:tflite",)))) is None
    door.close()
    submit = ("submit", "profile", MODEL, "--device", "idle", "--no-wait", "--json")
    first = json.loads(dynolab(*submit, "--priority", "-2").stdout)["id"]
    second = json.loads(dynolab(*submit, "--waits-for", first, "--deadline", "90").stdout)["id"]
    told = dynolab("jobs", "show", first).stdout
    assert "on idle: next in the queue" in told
    assert "priority -2" in told
    assert "deadline" not in told
    told = dynolab("jobs", "show", second).stdout
    assert f"waits for {first}" in told
    assert "an attempt may run for 90 s" in told
    assert "priority" not in told
    dynolab("jobs", "cancel", first)
    assert f"waits for {first}" not in dynolab("jobs", "show", second).stdout, "it failed with the other"


def test_an_agent_at_an_address_below_the_hubs_says_so_and_ends(hub: RunningHub, dynolab: Command) -> None:
    done = dynolab("agent", "--hub", f"{hub.url}/nowhere", "--token-file", hub.data / "agent.token")
    assert done.returncode == 2
    assert f"there is no hub of dynolab at {hub.url}/nowhere" in done.stderr
    assert "404" in done.stderr
    assert "Traceback" not in done.stderr


WRONG = [
    (("profile", MODEL, "--device", "no such device"), "no such device"),
    (("profile", MODEL, "--device", "x", "--seed", "3"), "--device takes"),
    (("submit", "inference", MODEL, "--device", "x", "--inputs", "dnothing"), "no dataset 'dnothing'"),
    (("jobs", "log", "jnothing"), "no job 'jnothing'"),
    (("jobs", "--state", "lost"), "lost"),
    (("login", "ftp://x", "--token", "t"), "no hub's address"),
    (("login", "http://127.0.0.1:9", "--token", "t"), "cannot be reached"),
    (("login",), "which hub?"),
    (("login", "--from", __file__), "is no client.ini"),
    (("submit", "profile", MODEL, "--device", "no such device"), "no device matches 'no such device'"),
    (("agent", "--hub", "http://127.0.0.1:9"), "has not joined http://127.0.0.1:9 yet"),
    (("hub", "--port", "99999"), "99999"),
    (("profile", MODEL, "--keep-artifact"), "--keep-artifact needs -o"),
    (("login", "http://127.0.0.1:9"), "no API token"),
    (("login", "http://127.0.0.1:99999999", "--token", "t"), "no hub's address"),
    (("login", "http://127.0.0.1:8000", "--token", "é"), "characters that no token has"),
    (("login", "--from", "nothing.ini"), "no file nothing.ini"),
    (("devices", "--os", "[1,"), "[1,"),
    (("jobs", "--limit", "0"), "0 is not in the range"),
    (("jobs", "nothing"), "nothing"),
    (("jobs", "show", "../devices"), "is no id"),
    (("jobs", "show", "jnothing", "--format", "nothing"), "no report named"),
    *((("jobs", verb, "jnothing"), "no job 'jnothing'") for verb in ("show", "watch", "cancel", "rerun", "delete")),
    (("submit", "profile", MODEL), "--device"),
    (("submit", "profile", "nothing.onnx", "--device", "x"), "nothing.onnx"),
    (("submit", "profile", MODEL, "--device", "x", "--options", "--nothing 1"), "no option --nothing"),
    (("submit", "inference", MODEL, "--device", "x", "--inputs", "nothing.h5"), "no dataset file nothing.h5"),
    (("profile", MODEL, "--inputs", "x.h5"), "--inputs needs --device"),
    (("submit", "profile", MODEL, "--device", "x", "--require", "speed <= 1"), "no figure named 'speed'"),
    (("submit", "profile", MODEL, "--device", "x", "--input-shape", "x"), "--input-shape 'x' is not NAME=VALUE"),
    (("profile", MODEL, "--device", "x", "--input-shape", "x=1", "--inputs", "d1"), "a shape of their own"),
    (("profile", MODEL, "--device", "x", "--require", "nonsense"), "nonsense"),
    (("profile", MODEL, "--device", "x", "--input-file", "a=nothing.npy"), "no file nothing.npy"),
    (("profile", MODEL, "--device", "x", "--input-file", f"a={__file__}"), "is no .npy file"),
    (("profile", Path(__file__).parent, "--device", "x"), "no device matches 'x'"),
    (("agent", "--hub", "http://127.0.0.1:9", "--token-file", "nothing"), "no token file nothing"),
    (("agent", "--hub", "zzz"), "no hub's address"),
]


@pytest.mark.parametrize(("arguments", "text"), WRONG)
def test_what_cannot_work_says_why(dynolab: Command, arguments: tuple[object, ...], text: str) -> None:
    done = dynolab(*arguments)
    assert done.returncode == 2, done.stdout + done.stderr
    assert text in done.stderr
    assert "Traceback" not in done.stderr
