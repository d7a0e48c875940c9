"""``qai-hub-models export``, unmodified, of a recipe of one's own: its command with our device's name, and what it prints."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

pytest.importorskip("pgqueuer")

from dynolab.client.client import Client, Device
from dynolab.testing.running_hub import RunningHub, running_hub

from .official import recipes

onnx = pytest.importorskip("onnx")

RECIPE = Path(__file__).parents[2] / "examples" / "recipes" / "my_mobile_net_v2"


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningHub]:
    with running_hub(tmp_path_factory.mktemp("hub")) as running:
        yield running


def exported(hub: RunningHub, folder: Path, device: str, *options: str) -> str:
    """What the command prints, run in the folder; it ends well."""
    shutil.copytree(RECIPE, folder / RECIPE.name, ignore=shutil.ignore_patterns("__pycache__"))
    command = recipes().parent / "qai-hub-models"
    child = subprocess.run(
        [command, "export", f"./{RECIPE.name}", "--device", device, *options],
        cwd=folder,
        env={**os.environ, "QAIHUB_CLIENT_INI": str(hub.ini), "no_proxy": "127.0.0.1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert child.returncode == 0, child.stdout + child.stderr
    return child.stdout


@pytest.mark.slow
@pytest.mark.parametrize(
    ("target", "precision", "needs", "least_psnr", "shape"),
    [
        ("onnx", "float", "onnxscript", 60, [1, 3, 224, 224]),
        ("tflite", "float", "ai_edge_litert", 60, [1, 224, 224, 3]),
        # One random sample is all that such a recipe calibrates with: 24 dB here, and a model of noise has none.
        ("onnx", "w8a8", "onnxscript", 10, [1, 3, 224, 224]),
    ],
)
def test_an_unmodified_export_ends_well_with_figures_of_this_machine(
    hub: RunningHub,
    client: Client,
    device: Device,
    tmp_path: Path,
    target: str,
    precision: str,
    needs: str,
    least_psnr: float,
    shape: list[int],
) -> None:
    pytest.importorskip(needs)
    text = exported(hub, tmp_path, device.name, "--target-runtime", target, "--precision", precision)

    table = dict(re.findall(r"^(\w.*?) *: (.*?) *$", text, re.MULTILINE))
    assert table["Device"] == f"{device.name} (LINUX {device.os})"
    assert table["Runtime"] == target.upper()
    profile = client.get_job(re.findall(r"Scheduled inference job \((\w+)\)", text)[0])
    time_ns = profile.document["summary"]["estimated_inference_time_ns"]
    assert table["Estimated inference time (ms)"] == f"{time_ns / 1e6:.1f}", "that of the profile job here"
    operators = table["Total # Ops"]
    assert int(operators) > 50
    assert table["Compute Unit(s)"] == f"npu (0 ops) gpu (0 ops) cpu ({operators} ops)"

    psnr = re.search(r"\| class_logits +\| \(1, 1000\) +\| +([\d.]+) +\|", text)
    assert psnr, text
    assert float(psnr[1]) > least_psnr

    [bundle] = (tmp_path / "export_assets").iterdir()
    saved = bundle / f"{RECIPE.name}.{target}"
    if target == "onnx":
        graph = onnx.load(saved).graph
        assert [one.name for one in (*graph.input, *graph.output)] == ["image_tensor", "class_logits"]
        assert any(node.op_type == "QuantizeLinear" for node in graph.node) == (precision == "w8a8")
    else:
        assert saved.read_bytes()[4:8] == b"TFL3"
    told = json.loads((bundle / "metadata.json").read_text())
    file = told["model_files"][saved.name]
    assert file["inputs"]["image_tensor"]["shape"] == shape
    assert file["outputs"]["class_logits"]["shape"] == [1, 1000]
    assert told["tool_versions"]
