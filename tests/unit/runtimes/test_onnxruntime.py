"""ONNX Runtime: traps of published models, and what its trace says of layers."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynolab.measure.protocol import Measure, RunKind
from dynolab.spec.measurements import StageName
from dynolab.spec.models import ModelFormat
from dynolab.testing import models
from dynolab.testing.harness import Harness

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
FLOAT, INT64 = 1, 7


def harness(folder: Path, model: Path, options: str = "") -> Harness:
    made = Harness(folder / "harness", model, ModelFormat.ONNX, "onnxruntime", options)
    made.inspect()
    return made


def test_weights_repeated_as_inputs_are_none(tmp_path: Path) -> None:
    """IR 3 lists weights as inputs; ONNX Runtime's saved model keeps inputs of weights that it folded away."""
    helper = onnx.helper
    shape = onnx.numpy_helper.from_array(np.array([4], np.int64), "shape")
    fill = helper.make_tensor("fill", FLOAT, [1], [2.0])
    graph = helper.make_graph(
        [
            helper.make_node("ConstantOfShape", ["shape"], ["w"], value=fill),
            helper.make_node("Mul", ["x", "w"], ["y"]),
        ],
        "old",
        [helper.make_tensor_value_info("x", FLOAT, [4]), helper.make_tensor_value_info("shape", INT64, [1])],
        [helper.make_tensor_value_info("y", FLOAT, [4])],
        [shape],
    )
    path = tmp_path / "old.onnx"
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 9)], ir_version=3), str(path))
    made = harness(tmp_path, path)
    assert made.inspection is not None
    assert [item.spec.name for item in made.inspection.inputs] == ["x"]
    made.good(RunKind.COMPILE)
    assert made.good(RunKind.INFERENCE, Measure.TIME).stages[StageName.INFERENCE].values_ns


def test_layers_of_a_branch_are_not_counted_twice(tmp_path: Path) -> None:
    helper = onnx.helper
    made_of = {
        name: helper.make_graph(
            [helper.make_node("MatMul", ["x", "x"], [f"{name}_y"], f"{name}_product")],
            name,
            [],
            [helper.make_tensor_value_info(f"{name}_y", FLOAT, [300, 300])],
        )
        for name in ("then", "other")
    }
    node = helper.make_node("If", ["c"], ["y"], "choice", then_branch=made_of["then"], else_branch=made_of["other"])
    path = models.onnx_nodes(tmp_path / "if.onnx", [node], {"x": (FLOAT, (300, 300)), "c": (9, ())}, ["y"])
    result = harness(tmp_path, path).good(RunKind.LAYERS, Measure.TIME, iterations=5)
    assert result.layer_pass is not None
    times = {layer.type: layer.time_ns for layer in result.layer_pass.layers}
    assert times["MatMul"] > times["If"], "the If's own time is what its branch leaves"


def test_a_scalar_and_a_length_do_not_crash_it(tmp_path: Path) -> None:
    node = onnx.helper.make_node("Gather", ["x", "i"], ["y"], axis=0)
    path = models.onnx_nodes(tmp_path / "g.onnx", [node], {"x": (FLOAT, (2, 3)), "i": (INT64, ())}, ["y"])
    found = harness(tmp_path, path).inspection
    assert found is not None
    assert {item.spec.name: item.spec.shape for item in found.inputs} == {"x": (2, 3), "i": ()}


def test_options_are_in_effect(tmp_path: Path) -> None:
    path = models.onnx_net(tmp_path / "net.onnx")
    options = '--onnx_options "intra_op_num_threads=1;graph_optimization_level=ENABLE_BASIC;allow_spinning=false"'
    effective = harness(tmp_path, path, options).good(RunKind.FIRST_LOAD, Measure.TIME).effective
    assert effective["intra_op_num_threads"].startswith("1")
    assert effective["graph_optimization_level"] == "ORT_ENABLE_BASIC"


def test_an_unknown_provider_is_an_error(tmp_path: Path) -> None:
    path = models.onnx_net(tmp_path / "net.onnx")
    made = Harness(tmp_path / "h", path, ModelFormat.ONNX, "onnxruntime", "--onnx_execution_providers directml")
    error = made.run(RunKind.INSPECT).result.error
    assert error is not None
    assert error["code"] == "ModelNotSupported"
    assert "directml" in str(error["message"])
