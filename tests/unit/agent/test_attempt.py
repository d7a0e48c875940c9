"""What an agent's attempt needs of libraries, what it takes for a model, and what it tells of it."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from dynolab.agent.attempt import ASSIGNMENT_FILE, LOG_FILE, OUTCOME_FILE, RESULT_FILE, _placed, carry_out, tensors
from dynolab.agent.offer import offer
from dynolab.spec import codec
from dynolab.spec.agents import AGENT_PROTOCOL, NOTES_FILE, OFFER_NULL, Assignment, FileLink
from dynolab.spec.profiles import Profile
from dynolab.testing import known_runtimes
from dynolab.testing.sample import sample_profile

TFLITE = Path(__file__).parents[3] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"
WITHOUT_H5PY = """
import sys
sys.modules["h5py"] = None
from pathlib import Path
from dynolab.agent.attempt import carry_out
from dynolab.spec.agents import AGENT_PROTOCOL, Assignment, FileLink
link = FileLink("net.onnx", 1)
asked = Assignment(AGENT_PROTOCOL, "a", 1, "j", sys.argv[2], "", 1.0, link, "onnx", link)
print(carry_out(Path(sys.argv[1]), asked).error)
"""


def test_profiles_need_no_library_for_datasets_and_inference_says_that_it_does(tmp_path: object) -> None:
    def error(kind: str) -> str:
        command = [sys.executable, "-c", WITHOUT_H5PY, str(tmp_path), kind]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    assert "there is no model at" in error("profile")
    told = error("inference")
    assert "'code': 'PluginMissing'" in told
    assert "inference jobs need h5py" in told
    assert "dynolab[datasets]" in told


def test_shapes_that_the_request_chose_are_not_the_models_own() -> None:
    profile = replace(sample_profile(), notices=())
    asked = replace(profile.request, input_shapes={}, input_files={})
    assert tensors(replace(profile, request=asked)).fixed
    for chosen in (
        replace(asked, input_shapes={"image": (1, 3, 2, 2)}),
        replace(asked, input_files={"image": "x.npy"}),
    ):
        assert not tensors(replace(profile, request=chosen)).fixed


def said_to_be(kind: str, path: Path) -> dict[str, object]:
    """The error of a profile job on a model that was said to be of that kind."""
    link = FileLink(path.name, 1)
    asked = Assignment(AGENT_PROTOCOL, "a", 1, "j", "profile", "--repeats 1", 1.0, link, kind)
    return carry_out(path.parent, asked).error or {}


def zipped(path: Path, name: str, content: bytes) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr(name, content)
    return path


def test_a_model_of_another_format_than_it_was_said_to_be_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv(OFFER_NULL, raising=False)
    sleeps = json.dumps({"sleep_s": 10**6}).encode()
    torchscript = zipped(tmp_path / "t", "m/code/x", b"")
    with zipfile.ZipFile(torchscript, "a") as archive:
        archive.writestr("m/data.pkl", b"")
    for name, content, found in (
        ("model.null", sleeps, "null"),
        ("model.tflite", TFLITE.read_bytes(), "tflite"),
        ("model.pt", torchscript.read_bytes(), "torchscript"),
    ):
        error = said_to_be("onnx", zipped(tmp_path / "net.zip", name, content))
        assert error["code"] == "ModelInvalid"
        assert f"net.zip was said to be onnx, and holds a model of the format {found}" in str(error["message"])
    error = said_to_be("exported_program", zipped(tmp_path / "net.zip", "m.pt", torchscript.read_bytes()))
    assert "said to be exported_program, and holds a model of the format torchscript" in str(error["message"])


def test_null_models_are_carried_out_only_where_they_are_offered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    known_runtimes.give(Path(os.environ["DYNOLAB_STATE"]))  # else each library is tried
    model = zipped(tmp_path / "net.zip", "model.null", b"{}")
    monkeypatch.delenv(OFFER_NULL, raising=False)
    assert "runs:null/null" not in offer("bench").attributes
    assert said_to_be("onnx", model)["code"] == "ModelInvalid"
    monkeypatch.setenv(OFFER_NULL, "1")
    assert "runs:null/null" in offer("bench").attributes
    assert "is not a null model" in str(said_to_be("onnx", zipped(tmp_path / "net.zip", "model.null", b"3"))["message"])


def test_what_the_agent_has_to_say_of_the_device_stands_in_log_and_profile(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OFFER_NULL, "1")
    (tmp_path / "model.null").write_text("{}")
    hot = "the device was at 70.0 °C when this began, and up to 55.0 °C is usual: it had 60 s to cool down"
    (tmp_path / NOTES_FILE).write_text(json.dumps({"hot-start": hot}), encoding="utf-8")
    options = "--repeats 1 --max_profiler_iterations 3"
    asked = Assignment(AGENT_PROTOCOL, "a", 1, "j", "profile", options, 1.0, FileLink("model.null", 1), "null")
    assert carry_out(tmp_path, asked).error is None
    profile = codec.decode(Profile, json.loads((tmp_path / RESULT_FILE).read_text(encoding="utf-8")))
    assert [(one.level, one.text) for one in profile.notices if one.code == "hot-start"] == [("warning", hot)]
    assert hot in (tmp_path / LOG_FILE).read_text(encoding="utf-8")


def test_an_error_without_a_log_of_its_own_adds_none(tmp_path: Path) -> None:
    error = said_to_be("onnx", tmp_path / "none.onnx")
    *_, last = (tmp_path / LOG_FILE).read_text().splitlines()
    assert str(error["message"]) in last


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl(2) is Linux's")
def test_an_attempt_whose_agent_is_gone_does_nothing(tmp_path: Path) -> None:
    asked = Assignment(AGENT_PROTOCOL, "a", 1, "j", "profile", "", 1.0, FileLink("none.onnx", 1), "onnx")
    (tmp_path / ASSIGNMENT_FILE).write_text(json.dumps(codec.encode(asked)))
    command = [sys.executable, "-m", "dynolab.agent.attempt", str(tmp_path)]
    for parent, is_carried_out in ((os.getppid(), False), (os.getpid(), True)):
        ended = subprocess.run([*command, str(parent)], check=False, capture_output=True)
        assert (ended.returncode, (tmp_path / OUTCOME_FILE).exists()) == (int(not is_carried_out), is_carried_out)


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="prctl(2) is Linux's")
def test_an_attempt_that_is_told_to_end_says_so_by_its_code_and_leaves_no_outcome(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(OFFER_NULL, "1")
    (tmp_path / "model.null").write_text('{"sleep_s": 600, "at": "first_load"}')
    asked = Assignment(AGENT_PROTOCOL, "a", 1, "j", "profile", "", 1.0, FileLink("model.null", 1), "null")
    (tmp_path / ASSIGNMENT_FILE).write_text(json.dumps(codec.encode(asked)))
    command = [sys.executable, "-m", "dynolab.agent.attempt", str(tmp_path), str(os.getpid())]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as running:
        assert running.stdout is not None
        assert json.loads(running.stdout.readline())["event"] == "stage", "it is at work"
        running.send_signal(signal.SIGTERM)
        assert running.wait(120) == 128 + signal.SIGTERM
    assert not (tmp_path / OUTCOME_FILE).exists()


@pytest.mark.parametrize(
    ("sent", "kind", "name"),
    [
        ("net.ncnn", "ncnn", "net.param"),  # as a hub names a file of a format that it does not know
        ("net.onnx", "onnx", "net.onnx"),
        ("net.jit", "torchscript", "net.jit"),
        ("net.zip", "ncnn", "net.zip"),
        ("net.foo", "foo", "net.foo"),
    ],
)
def test_a_model_gets_an_ending_that_its_format_has_here(tmp_path: Path, sent: str, kind: str, name: str) -> None:
    (tmp_path / sent).write_text("x")
    assert _placed(tmp_path / sent, kind) == tmp_path / name
    assert [one.name for one in tmp_path.iterdir()] == [name]
