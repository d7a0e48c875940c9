"""Inference jobs on this machine: what comes back for each type of tensor, and what is said where nothing can."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnxruntime")
pytest.importorskip("h5py")

from dynolab.connections.base import this_machine
from dynolab.errors import ModelNotSupported, SpecInvalid
from dynolab.jobs._datasets import h5
from dynolab.jobs.base import Context
from dynolab.jobs.inference import plugin as job
from dynolab.spec.jobs import InferenceSpec, ProfileSpec

onnx = pytest.importorskip("onnx")
TYPES = onnx.TensorProto
LENGTHS = (3, 1, 3, 0, 5)


def saved(path: Path, nodes: list[Any], source: int, outputs: list[Any]) -> Path:
    """A model of ``x`` [n, 2]."""
    helper = onnx.helper
    graph = helper.make_graph(nodes, "g", [helper.make_tensor_value_info("x", source, ["n", 2])], outputs)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


def cast(path: Path, source: int, target: int) -> Path:
    output = onnx.helper.make_tensor_value_info("y", target, ["n", 2])
    return saved(path, [onnx.helper.make_node("Cast", ["x"], ["y"], to=target)], source, [output])


def inferred(folder: Path, model: Path, batches: list[Any], runtime: str | None = None) -> dict[str, list[Any]]:
    h5.write(folder / "in.h5", {"x": batches})
    spec = InferenceSpec(ProfileSpec(model, runtime), folder / "in.h5", folder / "out.h5", measures=False)
    assert job.run(job.validate(spec), Context(this_machine(), lambda event: None)) is None
    return h5.read(folder / "out.h5")


def numbers(dtype: str) -> list[Any]:
    """Batches of several lengths, one of them empty."""
    return [(np.arange(2 * length).reshape(length, 2) % 5).astype(dtype) for length in LENGTHS]


@pytest.mark.parametrize(
    ("kind", "dtype"),
    [
        ("DOUBLE", "float64"), ("UINT32", "uint32"), ("UINT64", "uint64"), ("FLOAT16", "float16"), ("BOOL", "bool"),
        ("BFLOAT16", "float32"), ("FLOAT8E4M3FN", "float32"), ("INT4", "int8"), ("UINT4", "uint8"), ("STRING", "str"),
    ],
)  # fmt: skip
def test_every_type_of_output_comes_back_for_every_length(tmp_path: Path, kind: str, dtype: str) -> None:
    found = inferred(tmp_path, cast(tmp_path / "m.onnx", TYPES.FLOAT, getattr(TYPES, kind)), numbers("float32"))["y"]
    assert [one.shape for one in found] == [(length, 2) for length in LENGTHS]
    for ours, given in zip(found, numbers("float32"), strict=True):
        if kind == "STRING":
            assert ours.dtype.kind == "U"
            assert ours.astype(float).tolist() == given.tolist()
        else:
            assert ours.dtype.name == dtype
            assert ours.tolist() == given.astype(dtype).tolist()


@pytest.mark.parametrize(("kind", "dtype"), [("DOUBLE", "float64"), ("UINT64", "uint64"), ("BFLOAT16", "float32")])
def test_inputs_of_other_types_than_the_official_client_s_go_in(tmp_path: Path, kind: str, dtype: str) -> None:
    found = inferred(tmp_path, cast(tmp_path / "m.onnx", getattr(TYPES, kind), TYPES.FLOAT), numbers(dtype))["y"]
    assert [one.tolist() for one in found] == [one.tolist() for one in numbers("float32")]


def test_openvino_is_loaded_anew_for_each_length(tmp_path: Path) -> None:
    pytest.importorskip("openvino")
    model = cast(tmp_path / "m.onnx", TYPES.FLOAT, TYPES.INT32)
    found = inferred(tmp_path, model, numbers("float32")[:3], "openvino")["y"]
    assert [one.tolist() for one in found] == [one.tolist() for one in numbers("int32")[:3]]


def test_a_wrong_type_is_told_by_the_input_s_name_and_no_file_s(tmp_path: Path) -> None:
    with pytest.raises(SpecInvalid, match="'x' are int32, it is int64") as caught:
        inferred(tmp_path, cast(tmp_path / "m.onnx", TYPES.INT64, TYPES.FLOAT), numbers("int32"))
    assert "int64" in (caught.value.hint or "")
    assert ".npy" not in f"{caught.value.message} {caught.value.hint}"


def test_a_model_that_puts_out_no_tensor_says_so(tmp_path: Path) -> None:
    helper = onnx.helper
    node = helper.make_node("SequenceConstruct", ["x", "x"], ["y"])
    kind = helper.make_sequence_type_proto(helper.make_tensor_type_proto(TYPES.FLOAT, None))
    model = saved(tmp_path / "m.onnx", [node], TYPES.FLOAT, [helper.make_value_info("y", kind)])
    with pytest.raises(ModelNotSupported, match="puts out no tensor"):
        inferred(tmp_path, model, numbers("float32"))
