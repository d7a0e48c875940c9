"""A real aarch64 Linux behind sshd, emulated: named by its address alone, it gives a profile of every kind."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

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
    profile = json.loads((tmp_path / "out" / "profile.json").read_text(encoding="utf-8"))
    assert profile["device"]["architecture"] == "aarch64"
    stages = {one["name"]: one for one in profile["stages"]}
    assert set(stages) == {"compile", "first_load", "warm_load", "inference"}
    for name, stage in stages.items():
        assert stage["time"] is not None, name
        assert stage["memory"] is not None, name
    assert profile["layers"]["layers"]
    assert "emulated" in json.dumps([profile["device"], profile["environment"]])
