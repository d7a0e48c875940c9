"""A real aarch64 Linux behind sshd, emulated: named by its address alone, it gives a profile of every kind."""

from __future__ import annotations

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
