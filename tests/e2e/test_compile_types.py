"""Options of compile jobs on element types: integers in and out of quantised models, and weights in half the bytes."""

from __future__ import annotations

import os
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from dynolab import errors
from dynolab.connections.base import this_machine
from dynolab.jobs.base import Context
from dynolab.jobs.compile import compile_model
from dynolab.spec.compiles import Compiled, CompileSpec
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import Quantization
from dynolab.testing.tflite import Part, write
from dynolab.toolchains.base import toolchain_named

REQUIRED = os.environ.get("DYNOLAB_REQUIRED_RUNTIMES", "").split()
ENDS = (Quantization("picture", "uint8", 0.5, 120), Quantization("features", "uint8", 0.25, 3))
converts = pytest.mark.slow  # the environment takes a minute to make where it is not in the user's cache yet, 280 MB


def compiled(model: Path, folder: Path, options: str) -> Compiled:
    return compile_model(
        CompileSpec(model=model, folder=folder, options=options), Context(this_machine(), lambda _: None)
    )


def told(made: Compiled) -> list[str]:
    return [notice.text for notice in made.notices]


def quantised(path: Path, kind: Any = np.uint8) -> Path:
    """A convolution between QuantizeLinear and DequantizeLinear, whose input and output are float; another output is not quantised."""
    random = np.random.default_rng(0)
    held: dict[str, Any] = {"w": random.integers(-90, 90, (4, 3, 3, 3), dtype=np.int8)}
    for name, scale, zero in (("x", 0.5, kind(120)), ("y", 0.25, kind(3)), ("v", 0.002, np.int8(0))):
        held |= {f"{name}s": np.float32(scale), f"{name}z": zero}
    nodes = [
        helper.make_node("QuantizeLinear", ["picture", "xs", "xz"], ["xq"]),
        helper.make_node("DequantizeLinear", ["xq", "xs", "xz"], ["xd"]),
        helper.make_node("DequantizeLinear", ["w", "vs", "vz"], ["wd"]),
        helper.make_node("Conv", ["xd", "wd"], ["c"]),
        helper.make_node("QuantizeLinear", ["c", "ys", "yz"], ["yq"]),
        helper.make_node("DequantizeLinear", ["yq", "ys", "yz"], ["features"]),
        helper.make_node("Sigmoid", ["c"], ["share"]),
    ]
    values = {"picture": (1, 3, 8, 6), "features": (1, 4, 6, 4), "share": (1, 4, 6, 4)}
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items()]
    tensors = [numpy_helper.from_array(np.asarray(array), name) for name, array in held.items()]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    onnx.checker.check_model(model, full_check=True)
    onnx.save_model(model, str(path))
    return path


def plain(path: Path) -> Path:
    """A float convolution with weights of the usual size, one of them beyond float16."""
    random = np.random.default_rng(0)
    held = {"w": random.normal(size=(8, 3, 3, 3)).astype(np.float32), "m": np.full((8, 1, 6, 4), 7e4, np.float32)}
    nodes = [helper.make_node("Conv", ["picture", "w"], ["c"]), helper.make_node("Mul", ["c", "m"], ["features"])]
    values = {"picture": (1, 3, 8, 6), "features": (1, 8, 6, 4)}
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in values.items()]
    tensors = [numpy_helper.from_array(array, name) for name, array in held.items()]
    graph = helper.make_graph(nodes, "g", infos[:1], infos[1:], tensors)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, str(path))
    return path


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quantised(tmp_path_factory.mktemp("models") / "net.onnx")


@pytest.mark.parametrize("kind", ["uint8", "int8"])
@pytest.mark.parametrize("target", ["onnx", "openvino"])
def test_integers_go_in_and_out_of_a_quantised_model(tmp_path: Path, model: Path, target: str, kind: str) -> None:
    if target == "openvino" and target not in REQUIRED:
        pytest.importorskip("openvino")
    made = compiled(model, tmp_path / "out", f"--target_runtime {target} --quantize_io --quantize_io_type {kind}")
    types = [(one.name, one.dtype) for one in (*made.inputs, *made.outputs)]
    assert types == [("picture", kind), ("features", kind), ("share", "float32")]
    shift = 0 if kind == "uint8" else 128
    assert made.quantizations == tuple(replace(one, dtype=kind, zero_point=one.zero_point - shift) for one in ENDS)
    assert [one.psnr_db is None or one.psnr_db > 60 for one in made.checks] == [True, True]
    assert told(made) == ["--quantize_io leaves share as they are: the model does not quantise them"]


def test_the_integers_are_those_that_the_model_makes_itself(tmp_path: Path, model: Path) -> None:
    made = compiled(model, tmp_path / "out", "--target_runtime onnx --quantize_io --force_channel_last_input picture")
    fed = np.random.default_rng(1).integers(0, 256, (1, 8, 6, 3), dtype=np.uint8)
    real = (np.moveaxis(fed, -1, 1).astype(np.float32) - 120) * np.float32(0.5)
    (features, share) = onnxruntime.InferenceSession(str(model)).run(None, {"picture": real})
    integers, also = onnxruntime.InferenceSession(str(tmp_path / "out" / made.entry)).run(None, {"picture": fed})
    assert integers.dtype == np.uint8
    np.testing.assert_array_equal((integers.astype(np.float32) - 3) * np.float32(0.25), features)
    np.testing.assert_array_equal(also, share)


def test_what_has_no_effect_is_said_and_another_type_is_refused(tmp_path: Path, model: Path) -> None:
    of_float = compiled(plain(tmp_path / "float.onnx"), tmp_path / "a", "--target_runtime onnx --quantize_io")
    assert told(of_float) == ["--quantize_io leaves picture, features as they are: the model does not quantise them"]
    assert (of_float.inputs[0].dtype, of_float.quantizations) == ("float32", ())
    alone = compiled(model, tmp_path / "b", "--target_runtime onnx --quantize_io_type uint8")
    assert told(alone) == ["--quantize_io_type has no effect without --quantize_io"]
    wide = quantised(tmp_path / "wide.onnx", np.uint16)
    with pytest.raises(errors.ModelNotSupported, match="'picture' is quantised as uint16, and --quantize_io_type"):
        compiled(wide, tmp_path / "c", "--target_runtime onnx --quantize_io --quantize_io_type int8")
    assert not (tmp_path / "c").exists()


@pytest.mark.parametrize("target", ["onnx", "openvino", "tflite"])
def test_integers_throughout_need_data(tmp_path: Path, model: Path, target: str) -> None:
    if toolchain_named(target).unavailable(ModelFormat.ONNX) is not None:
        pytest.skip(f"the target {target} is not available")
    with pytest.raises(
        errors.ModelNotSupported, match=r"--quantize_full_type .*calibration data, which a quantize job"
    ):
        compiled(model, tmp_path / "out", f"--target_runtime {target} --quantize_full_type int8")


def test_onnx_weights_take_half_the_bytes_and_what_float16_does_not_hold_stays(tmp_path: Path) -> None:
    made = compiled(plain(tmp_path / "net.onnx"), tmp_path / "out", "--quantize_weight_type float16")
    model = onnx.load(str(tmp_path / "out" / made.entry))
    assert sorted(onnx.helper.tensor_dtype_to_np_dtype(one.data_type).name for one in model.graph.initializer) == [
        "float16",
        "float32",
    ]
    assert told(made) == ["1 weights hold numbers beyond float16, and stay float32"]
    assert made.inputs[0].dtype == made.outputs[0].dtype == "float32"
    assert 50 < (made.lowest_psnr_db or 0) < 110, "close to the source, and not the source"


# ---- TFLite ----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A TFLite model of 8-bit integers whose input and output are float, as quantizers leave it."""
    schema = pytest.importorskip("ai_edge_litert.schema_py_generated")
    from dynolab.toolchains import _tflite_model as tflite_model

    folder, part = tmp_path_factory.mktemp("tflite"), Part()
    names = {"fed": "FLOAT32", "fed_q": "INT8", "relu": "INT8", "given": "FLOAT32"}
    places = [part.tensor(name, kind, [1, 40]) for name, kind in names.items()]
    for operator, (before, after) in zip(("QUANTIZE", "RELU", "DEQUANTIZE"), pairwise(places), strict=True):
        part.operator(operator, [before], [after])
    part.inputs, part.outputs = [places[0]], [places[-1]]
    model = tflite_model.read(write(folder / "plain.tflite", part))
    for tensor in model.subgraphs[0].tensors[1:3]:
        tensor.quantization = schema.QuantizationParametersT(scale=[0.5], zeroPoint=[-3])
    tflite_model.write(model, folder / "net.tflite")
    return folder / "net.tflite"


@pytest.mark.parametrize(("kind", "zero"), [("int8", -3), ("uint8", 125)])
def test_integers_go_in_and_out_of_a_tflite_model(tmp_path: Path, small: Path, kind: str, zero: int) -> None:
    made = compiled(small, tmp_path / "out", f"--target_runtime tflite --quantize_io --quantize_io_type {kind}")
    assert made.quantizations == (Quantization("fed", kind, 0.5, zero), Quantization("given", kind, 0.5, zero))
    assert [(one.name, one.dtype, one.shape) for one in (*made.inputs, *made.outputs)] == [
        ("fed", kind, (1, 40)),
        ("given", kind, (1, 40)),
    ]
    assert [one.is_equal for one in made.checks] == [True]
    assert made.compiled.operators == (1 if kind == "int8" else 3)
    assert told(made) == []


def test_a_float_tflite_model_keeps_its_ends_and_its_weights_are_halved(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    float_model = Path(__file__).parents[2] / "examples" / "models" / "rock_paper_scissors_float32.tflite"
    options = "--target_runtime tflite --quantize_io --quantize_weight_type float16"
    made = compiled(float_model, tmp_path / "out", options)
    assert made.compiled.precision == "float16"
    assert made.compiled.file_bytes < 0.55 * made.source.file_bytes
    assert (made.lowest_psnr_db or 99) > 40
    assert told(made) == ["--quantize_io leaves conv2d_input, dense_1 as they are: the model does not quantise them"]


@converts
def test_integers_go_in_and_out_of_what_was_a_qdq_model(tmp_path: Path, model: Path) -> None:
    if (reason := toolchain_named("tflite").unavailable(ModelFormat.ONNX)) is not None:
        pytest.skip(reason)
    options = "--target_runtime tflite --quantize_io --quantize_io_type int8 --quantize_weight_type float16"
    made = compiled(model, tmp_path / "out", options)
    assert made.quantizations == (
        Quantization("picture", "int8", 0.5, -8),
        Quantization("features", "int8", 0.25, -125),
    )
    assert [(one.name, one.dtype) for one in (*made.inputs, *made.outputs)] == [
        ("picture", "int8"),
        ("features", "int8"),
        ("share", "float32"),
    ]
    assert [one.psnr_db is None or one.psnr_db > 40 for one in made.checks] == [True, True]
    assert made.compiled.precision is not None
    assert "float16" in made.compiled.precision
    assert told(made) == ["--quantize_io leaves share as they are: the model does not quantise them"]
