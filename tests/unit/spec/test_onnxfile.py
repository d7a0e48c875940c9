"""What is read of an ONNX file without its library."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynolab.runtimes.onnxruntime import types
from dynolab.spec import onnxfile
from dynolab.spec.tensors import TensorSpec

onnx = pytest.importorskip("onnx")


def test_inputs_and_outputs_are_as_the_file_declares_them(tmp_path: Path) -> None:
    helper = onnx.helper
    names = onnx.TensorProto.DataType
    sequence = helper.make_sequence_type_proto(helper.make_tensor_type_proto(names.FLOAT, [2]))
    weight = helper.make_tensor("w", names.INT4, [2], [1, 2])
    values = [
        helper.make_tensor_value_info("x", names.BFLOAT16, [1, "n", None, -1]),
        helper.make_tensor_value_info("s", names.STRING, []),
        helper.make_value_info("parts", sequence),
        helper.make_value_info("maybe", helper.make_optional_type_proto(sequence)),
        helper.make_tensor_value_info("w", names.INT4, [2]),
    ]
    outputs = [helper.make_tensor_value_info(name, names.FLOAT8E8M0, None) for name in ("z", "y")]
    graph = helper.make_graph([], "g", values, outputs, [weight])
    path = tmp_path / "m.onnx"
    path.write_bytes(helper.make_model(graph).SerializeToString())
    with path.open("rb") as file:
        found = onnxfile.declared("m.onnx", file)
        assert onnxfile.inputs("m.onnx", file) == ["x", "s", "parts", "maybe"]
        assert onnxfile.outputs("m.onnx", file) == ["z", "y"]
    assert found == {
        "x": TensorSpec("x", "bfloat16", (1, "n", None, None)),
        "s": TensorSpec("s", "string", ()),
        "parts": "sequence",
        "maybe": "value that may be missing (ONNX: optional)",
        "w": TensorSpec("w", "int4", (2,)),
        "z": TensorSpec("z", "float8_e8m0fnu", ()),
        "y": TensorSpec("y", "float8_e8m0fnu", ()),
    }


def test_every_element_type_has_the_number_that_onnx_gives_it() -> None:
    told = {number: types.element_name(str(name).lower()) for name, number in onnx.TensorProto.DataType.items()}
    assert dict(enumerate(onnxfile.ELEMENT_TYPES)).items() <= told.items()
