"""A real aarch64 Linux behind sshd, emulated: named by its address alone, it gives a profile of every kind."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dynolab.cli.report import read
from dynolab.spec.measurements import StageName
from dynolab.testing.commands import command

from ..devices.arm64_machine import Arm64Machine

pytestmark = pytest.mark.slow
EXAMPLES = Path(__file__).parents[2] / "examples" / "models"


@pytest.mark.parametrize(
    "model", ["ch_ppocr_mobile_v2.0_cls_infer.onnx", "mlperf_tiny_kws_int8.tflite"], ids=["onnx", "tflite"]
)
def test_model_is_profiled_in_all_stages_with_layers_and_marked_emulated(
    arm64_board: Arm64Machine, model: str, tmp_path: Path
) -> None:
    with arm64_board.as_home():
        options = ("--repeats", "1", "--options", "--max_profiler_iterations 10")
        done = command("profile", EXAMPLES / model, "--device", arm64_board.address, *options, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    profile = read(tmp_path / "out")
    assert profile.device.architecture == "aarch64"
    for stage in profile.stages:
        if stage.reason is not None:  # LiteRT compiles nothing on the device
            assert (stage.name, model.endswith(".tflite")) == (StageName.COMPILE, True), stage.reason
            continue
        assert stage.time is not None, stage.time_reason
        assert stage.memory is not None, stage.memory_reason
        assert "emulated" in " ".join(stage.verdict.reasons), "a time of an emulation is never clean"
    assert profile.layers.layers
    assert profile.environment["emulation"]


BARE = "sh chmod mkdir printf cat ls df rm mv cut sha256sum stat tail tar gzip touch uname"
"""The programs that are left."""


def there(board: Arm64Machine, script: str) -> str:
    """What a script prints on the board."""
    settings = str(board.client / ".ssh" / "config")
    command_line = ["ssh", "-F", settings, "board", script]
    return subprocess.run(command_line, capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL).stdout


@contextmanager
def without_python(board: Arm64Machine) -> Iterator[None]:
    """The board's shell finds nothing but what a bare board has."""
    links = f'mkdir -p bare; for one in {BARE}; do ln -sf "$(command -v $one || echo /usr/bin/$one)" bare/$one; done'
    there(board, f'{links}; touch .bashrc; cp .bashrc kept; printf "PATH=$HOME/bare\\n" > .bashrc')
    try:
        yield
    finally:
        there(board, "/usr/bin/mv kept .bashrc")


def test_board_without_a_python_gets_one_and_measures(
    arm64_board: Arm64Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DYNOLAB_DEVICE_ROOT", "/home/pi/another-root")
    path = tmp_path / "m.null"
    path.write_text(json.dumps({"busy_ns": 1_000_000}))
    with arm64_board.as_home(), without_python(arm64_board):
        with pytest.raises(subprocess.CalledProcessError):
            there(arm64_board, "python3 -c pass")
        options = ("--repeats", "1", "--options", "--max_profiler_iterations 10")
        done = command("profile", path, "--device", arm64_board.address, *options, "-o", tmp_path / "out")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "has no Python" in done.stderr
    profile = read(tmp_path / "out")
    assert profile.device.architecture == "aarch64"
    assert profile.environment["libc"] == "glibc 2.41", "its own, not the board's"
    assert profile.environment["python"].startswith("/home/pi/another-root/envs")
    assert profile.inference.time is not None
    assert profile.inference.time.minimum_ns >= 1_000_000
