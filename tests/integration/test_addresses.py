"""``--device`` of the commands: what a board can do, what runs there, a gate and a comparison of numbers on it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from dynolab.testing.commands import Done, command
from dynolab.testing.models import onnx_net

from ..devices.fixtures import present
from ..devices.phone import Phone
from ..devices.sshd import Sshd, free_port, sshd


@pytest.fixture(scope="module")
def board() -> Iterator[Sshd]:
    with present("sshd", sshd()) as found:
        yield found


@pytest.fixture(scope="module")
def net(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return onnx_net(tmp_path_factory.mktemp("models") / "net.onnx")


def told(done: Done, code: int = 0) -> Any:
    assert done.returncode == code, done.stderr
    return json.loads(done.stdout)


# ---- what it can do --------------------------------------------------------------------------------------------------


def test_runtimes_tells_what_loads_on_the_board_and_what_was_not_brought(board: Sshd) -> None:
    with board.as_home():
        done = command("runtimes", "--device", board.address, "-r", "onnxruntime", "--json")
    rows = {row["name"]: row for row in told(done)}
    assert rows["onnxruntime"]["unavailable"] is None
    assert rows["onnxruntime"]["versions"]["onnxruntime"]
    assert rows["onnxruntime"]["formats"]
    assert rows["litert"]["unavailable"] == "not tried there: -r litert"
    assert next(iter(rows)) == "onnxruntime", "what was tried comes first"


def test_the_doctor_looks_at_the_board(board: Sshd) -> None:
    with board.as_home():
        done = command("doctor", "--device", board.address, "-r", "onnxruntime", "--json")
    assert done.returncode in (0, 1), done.stderr
    findings = {one["name"]: one for one in json.loads(done.stdout)}
    assert findings["runtime onnxruntime"]["state"] == "ok"
    assert {"clock source", "sandbox", "swap", "timer"} <= set(findings)
    assert (done.returncode == 1) == any(one["state"] == "problem" for one in findings.values())
    assert "kernel" in done.stderr
    assert board.processes() == []


def test_a_runtime_that_the_board_cannot_have_hinders_none_of_the_others(board: Sshd) -> None:
    with board.as_home():
        done = command("doctor", "--device", board.address, "-r", "qnnsimulator", "-r", "null", "--json")
    findings = {one["name"]: one for one in told(done, 1)}
    assert findings["runtime qnnsimulator"]["state"] == "problem"
    assert "simulates" in findings["runtime qnnsimulator"]["found"]
    assert findings["runtime null"]["state"] == "ok"


def test_a_phone_is_looked_at_too(phone: Phone) -> None:
    with phone.as_server():
        done = command("doctor", "--device", phone.address, "-r", "null", "--json")
    assert done.returncode in (0, 1), done.stderr
    findings = {one["name"]: one for one in json.loads(done.stdout)}
    assert findings["runtime null"]["state"] == "ok"
    assert "timer" in findings


# ---- the gate --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_gate_of_two_models_is_decided_on_the_board(board: Sshd, net: Path) -> None:
    with board.as_home():
        done = command("gate", net, "--baseline", net, "--max-slower", "1000%", "--budget", 300, "--device", board.address, "--json")  # fmt: skip
    assert told(done)["outcome"] == "within"


def test_a_gate_against_a_saved_profile_measures_on_the_board(board: Sshd, net: Path, tmp_path: Path) -> None:
    out = tmp_path / "main"
    with board.as_home():
        assert command("profile", net, "--device", board.address, "--repeats", 1, "-o", out).returncode == 0
        gate = (
            "gate",
            net,
            "--baseline",
            out,
            "--max-slower",
            "5000%",
            "--on-unknown",
            "pass",
            "--device",
            board.address,
        )
        done = command(*gate, "--json")
        told(done)
        profile = json.loads((out / "profile.json").read_text())
        profile["device"]["name"] = "another board"
        (out / "profile.json").write_text(json.dumps(profile))
        other = command(*gate)
    assert other.returncode == 2
    assert "another board" in other.stderr
    assert "iteration" not in other.stderr, "refused before anything is measured"


# ---- numbers ---------------------------------------------------------------------------------------------------------


def test_the_same_model_here_and_on_the_board(board: Sshd, net: Path) -> None:
    with board.as_home():
        found = told(command("verify", net, "--device-b", board.address, "--samples", 3, "--json"))
    assert found["samples"] == 3
    assert found["a"]["device"] is None
    assert board.address in found["b"]["device"]
    assert found["b"]["versions"]["onnxruntime"]
    assert found["b"]["effective"]
    assert all(one["psnr_db"] is None or one["psnr_db"] > 100 for one in found["accuracy"]["outputs"])


@pytest.mark.slow
def test_two_models_on_the_board(board: Sshd, net: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.onnx"
    model = onnx.load(net)
    model.graph.initializer[0].raw_data = bytes(reversed(model.graph.initializer[0].raw_data))
    onnx.save(model, other)
    with board.as_home():
        done = command("verify", net, other, "--device", board.address, "--samples", 1)
    assert done.returncode == 1, done.stderr
    assert done.stdout.count(board.address) == 2
    assert "layers were not compared: models that run on a device" in " ".join(done.stdout.split())


def test_a_model_that_fails_on_the_board_is_named(board: Sshd, net: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(net.read_bytes()[:200])
    with board.as_home():
        done = command("verify", net, broken, "--device-b", board.address)
    assert done.returncode == 2
    assert "B: " in done.stderr


# ---- what is wrong ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("gate", "{net}", "--baseline", "{net}", "--max-slower", "5%", "--device", "board"), "is no device's address"),
        (("verify", "{net}", "--device-b", "board"), "is no device's address"),
        (("verify", "{net}", "--device", "ssh://x"), "has nothing to be compared with"),
        (("verify", "{net}", "{net}", "--device", "ssh://x", "--device-b", "ssh://y"), "is given, too"),
        (("verify", "{net}", "--device-b", "ssh://x", "--times"), "--layers, --times and --profile"),
        (("verify", "--jobs", "a", "b", "--device", "ssh://x"), "--device is for models"),
        (("runtimes", "--device", "board"), "is no device's address"),
        (("runtimes", "-r", "onnxruntime"), "is for a device"),
        (("doctor", "--device", "ssh://board/folder"), "is no ssh address"),
        (("doctor", "-r", "onnxruntime"), "is for a device"),
        (("doctor", "--device", "ssh://x", "-r", "onyx"), "there is no runtime named 'onyx'"),
    ],
)  # fmt: skip
def test_what_does_not_go_together(words: tuple[str, ...], said: str, net: Path) -> None:
    done = command(*(word.format(net=net) for word in words))
    assert done.returncode == 2
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("asked", [("runtimes",), ("doctor",), ("verify", "{net}", "{net}")])
def test_a_board_that_does_not_answer(board: Sshd, net: Path, asked: tuple[str, ...]) -> None:
    words = [word.format(net=net) for word in asked]
    with board.as_home():
        done = command(*words, "--device", f"ssh://{board.user}@127.0.0.1:{free_port()}")
    assert done.returncode == 2
    assert "cannot be reached" in done.stderr
    assert f"{board.user}@127.0.0.1" in done.stderr, "the way out is for the account that was meant"


def test_a_board_on_which_nothing_can_be_kept(board: Sshd, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DYNOLAB_DEVICE_ROOT", "/proc/nowhere")
    with board.as_home():
        done = command("doctor", "--device", board.address)
    assert done.returncode == 2
    assert "no folder can be made" in done.stderr
    assert "DYNOLAB_DEVICE_ROOT" in done.stderr


def test_local_is_this_machine(net: Path) -> None:
    done = command("verify", net, net, "--device", "local", "--samples", 1, "--json")
    assert told(done)["a"]["device"] is None
