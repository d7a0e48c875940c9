"""nodedata.json of real layers: it names the nodes that stand in the model's file."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from dynolab.formats import EXTENSIONS
from dynolab.measure.protocol import InputWishes, RunKind
from dynolab.plugins import load
from dynolab.report.nodedata import plugin as report
from dynolab.runtimes.base import Runtime
from dynolab.testing.harness import Harness
from dynolab.testing.sample import layer_table, sample_profile

EXAMPLES = Path(__file__).parents[2] / "examples" / "models"
OCR, KWS = EXAMPLES / "ch_ppocr_mobile_v2.0_cls_infer.onnx", EXAMPLES / "mlperf_tiny_kws_int8.tflite"
BETWEEN = ("Reorder", "Static Reshape")
"""Types of what runtimes put between the model's nodes, as other layouts of what these left; others bear their type as name."""


def named(model: Path) -> set[str]:
    """What nodes in the file, and the tensors that they put out, are called."""
    if model.suffix == ".tflite":
        from dynolab.runtimes.litert import schema

        return {
            graph.tensors[place].name
            for graph in schema.read(model).graphs
            for one in graph.operations
            for place in one.outputs
        }
    nodes = pytest.importorskip("onnx").load(str(model)).graph.node
    return {name for node in nodes for name in (node.name, *node.output) if name}


def recorded(model: Path, runtime: str, folder: Path) -> Any:
    plugged = load("dynolab.runtimes", runtime)
    assert isinstance(plugged, Runtime)
    if (reason := plugged.unavailable()) is not None:
        pytest.skip(reason)
    wishes = InputWishes(shapes={"x": (1, 3, 48, 192)} if model is OCR else {})
    made = Harness(folder, model, EXTENSIONS[model.suffix], runtime, wishes=wishes)
    made.inspect()
    assert made.inspection is not None
    if made.inspection.compiles:
        made.good(RunKind.COMPILE)
    found = made.good(RunKind.LAYERS, iterations=2).layer_pass
    assert found is not None
    return found.layers


@pytest.mark.parametrize(
    ("model", "runtime"),
    [(OCR, "onnxruntime"), (OCR, "openvino"), (KWS, "litert")],
    ids=["onnxruntime", "openvino", "litert"],
)
def test_every_layer_that_is_a_node_of_the_file_is_named_as_one(model: Path, runtime: str, tmp_path: Path) -> None:
    layers, known = recorded(model, runtime, tmp_path / "h"), named(model)
    profile = sample_profile(layers=replace(layer_table(1), layers=layers))
    told = json.loads(report.render([profile]))["results"]
    own = [one for one in layers if not one.type.startswith(BETWEEN) and one.name.partition("_token_")[0] != one.type]
    assert len(own) > 10
    assert len(own) > len(layers) / 2
    for layer in own:
        alone = sample_profile(layers=replace(layer_table(1), layers=(layer,)))
        assert known.intersection(json.loads(report.render([alone]))["results"]), layer.name
    on_nodes = sum(entry["value"] for name, entry in told.items() if name in known)
    assert on_nodes * 1000 >= sum(layer.time_ns for layer in own) * 0.999
