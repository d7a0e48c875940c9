"""The official client, unmodified, against a hub with this machine as its device: what an engineer's script would do."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("pgqueuer")

from dynolab.testing.running_hub import RunningHub, running_hub

from .official import environment

onnxruntime = pytest.importorskip("onnxruntime")

MODEL = Path(__file__).parents[2] / "examples" / "models" / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
PUBLISHED = [
    "estimated_inference_time",
    "first_load_time",
    "warm_load_time",
    "compile_time",
    *(
        f"{stage}_memory_{part}_range"
        for stage in ("compile", "first_load", "warm_load", "inference")
        for part in ("increase", "peak")
    ),
]
"""The twelve keys that AI Hub documents."""


INPUT, OUTPUT = "x", "save_infer_model/scale_0.tmp_1"
"""The example model's tensors."""


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def script(hub: RunningHub, version: str, name: str, question: Any) -> Any:
    """What a script of this folder prints in its last line, run with the official client of a version."""
    child = subprocess.run(
        [environment(version), Path(__file__).parent / name],
        input=json.dumps(question),
        env={**os.environ, "QAIHUB_CLIENT_INI": str(hub.ini), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stderr
    return json.loads(child.stdout.splitlines()[-1])


@pytest.fixture(scope="module")
def device(hub: RunningHub) -> str:
    """The name of this machine, as the hub lists it."""
    listed = script(hub, "0.56.0", "official_devices.py", None)  # it waits for the agent to announce it
    assert len(listed) == 1, "this machine is the hub's one device"
    return str(listed[0])


VERSIONS = ["0.56.0", *(pytest.param(version, marks=pytest.mark.slow) for version in ("0.55.0", "0.46.0"))]


@pytest.mark.parametrize("version", VERSIONS)
def test_a_profile_job_end_to_end(hub: RunningHub, device: str, version: str) -> None:
    seen = script(hub, version, "official_profile.py", {"model": str(MODEL), "device": device})
    assert seen["version"] == version
    assert seen["devices"] == seen["filtered"] == [device]
    assert seen["nowhere"] == 0
    assert seen["wait"] == "SUCCESS"
    summary = seen["profile"]["execution_summary"]
    for key in PUBLISHED:
        assert summary[key], f"{key} was measured here"
    assert len(summary["all_inference_times"]) == 20
    assert min(summary["all_inference_times"]) == summary["estimated_inference_time"]
    layers = seen["profile"]["execution_detail"]
    assert len(layers) > 100
    assert {layer["compute_unit"] for layer in layers} == {"CPU"}
    assert seen["again"][1:] == ["a profile", "SUCCESS"]
    shape, dtype = seen["shapes"][INPUT]
    assert (len(shape), shape[:2], dtype) == (4, [1, 3], "float32"), "what the agent fed"
    assert seen["renamed"] == "renamed"
    assert seen["summaries"][0] == [seen["again"][0], "renamed"]
    assert seen["sharing"] == [["friend@example.org"], []]
    assert ("inference: time" in seen["log"]) == (version != "0.46.0"), "logs are fetched from 0.47 on"
    assert seen["same"], "the model comes back as it went"
    errors = seen["errors"]
    assert "could not be found" in errors["job"]
    assert "could not be found" in errors["model"]
    assert "not available" in errors["device"] or "no device" in errors["device"]
    assert "no_such_option" in errors["options"]
    assert "no compile job" in errors["compile"]


@pytest.mark.parametrize("version", VERSIONS)
def test_datasets_and_an_inference_job_end_to_end(hub: RunningHub, device: str, version: str, tmp_path: Path) -> None:
    """The outputs are those of ONNX Runtime, called here without any hub."""
    question = {"model": str(MODEL), "input": INPUT, "device": device, "folder": str(tmp_path)}
    seen = script(hub, version, "official_inference.py", question)
    assert seen["dataset"] == ["three batches", "Not Expired"]
    assert seen["same"]
    assert seen["listed"]
    assert seen["wait"] == "SUCCESS"
    assert seen["outputs"] == {OUTPUT: 3}
    session = onnxruntime.InferenceSession(str(MODEL), providers=["CPUExecutionProvider"])
    for number in range(3):
        expected = session.run([OUTPUT], {INPUT: np.load(tmp_path / f"input-{number}.npy")})[0]
        np.testing.assert_allclose(np.load(tmp_path / f"output-{number}.npy"), expected, rtol=1e-5, atol=1e-6)
    assert seen["wrong"][0] == "FAILED"
    assert "nonsense" in seen["wrong"][1]
