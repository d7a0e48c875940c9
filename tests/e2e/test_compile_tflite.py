"""The target tflite: onnx2tf in an environment of its own, through the confined process, and TFLite as it is."""

from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("ai_edge_litert")

from ai_edge_litert import schema_py_generated
from ai_edge_litert.interpreter import Interpreter
from onnx import TensorProto, helper

from dynolab import errors
from dynolab.connections.base import this_machine
from dynolab.jobs.base import Context
from dynolab.jobs.compile import compile_model
from dynolab.runtimes.litert import schema
from dynolab.spec.compiles import Compiled, CompileSpec, InputSpec
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import Quantization
from dynolab.testing.commands import Done, command
from dynolab.testing.models import onnx_graph
from dynolab.testing.tflite import Part, write
from dynolab.toolchains import _tflite_model as tflite_model
from dynolab.toolchains.base import toolchain_named

MODELS = Path(__file__).parents[2] / "examples" / "models"
OCR, KWS = MODELS / "ch_ppocr_mobile_v2.0_cls_infer.onnx", MODELS / "mlperf_tiny_kws_int8.tflite"
REQUIRED = os.environ.get("DYNOLAB_REQUIRED_RUNTIMES", "").split()
converts = pytest.mark.slow  # the environment takes a minute to make where it is not in the user's cache yet, 280 MB


def compiled(model: Path, folder: Path, options: str = "", **more: Any) -> Compiled:
    spec = CompileSpec(model=model, folder=folder, options=f"--target_runtime tflite {options}", **more)
    made = compile_model(spec, Context(this_machine(), lambda _: None))
    assert not list(Path(os.environ["DYNOLAB_WORKSPACE"]).glob("compile-*")), "nothing is left behind"
    return made


def refused(kind: type[errors.Error], told: str, model: Path, folder: Path, options: str = "", **more: Any) -> None:
    with pytest.raises(kind, match=told):
        compiled(model, folder, options, **more)
    assert not folder.exists(), "nothing is made of what is refused"


def picture(path: Path) -> Path:
    """A convolution over a picture of an odd name, with the brightest channel and doubled ids as further outputs."""
    random = np.random.default_rng(0)
    nodes = [
        helper.make_node("Conv", ["x:0/picture", "w"], ["c"]),
        helper.make_node("Relu", ["c"], ["features"]),
        helper.make_node("ArgMax", ["features"], ["top"], axis=1, keepdims=0),
        helper.make_node("Add", ["ids", "ids"], ["twice"]),
    ]
    return onnx_graph(
        path,
        nodes,
        {"x:0/picture": (TensorProto.FLOAT, [1, 3, 8, 6]), "ids": (TensorProto.INT64, [2])},
        {
            "twice": (TensorProto.INT64, [2]),
            "features": (TensorProto.FLOAT, [1, 4, 8, 6]),
            "top": (TensorProto.INT64, [1, 8, 6]),
        },
        {"w": random.random((4, 3, 1, 1), dtype=np.float32) - np.float32(0.5)},
    )


def ends(made: Compiled) -> list[tuple[str, str, tuple[object, ...]]]:
    return [(one.name, one.dtype, one.shape) for one in (*made.inputs, *made.outputs)]


def same(made: Compiled) -> bool:
    """Whether all outputs were compared, and none is further off than float32's rounding."""
    return made.check_reason is None and all(one.is_equal or (one.psnr_db or 0) > 100 for one in made.checks)


@converts
def test_names_order_shapes_and_types_are_the_sources(tmp_path: Path) -> None:
    made = compiled(picture(tmp_path / "net.onnx"), tmp_path / "out")
    assert (made.entry, [file.path for file in made.files]) == ("net.tflite", ["net.tflite"])
    assert ends(made) == [
        ("x:0/picture", "float32", (1, 3, 8, 6)),
        ("ids", "int64", (2,)),
        ("twice", "int64", (2,)),
        ("features", "float32", (1, 4, 8, 6)),
        ("top", "int64", (1, 8, 6)),
    ]
    assert same(made), made.checks
    assert [one.name for one in made.checks] == ["twice", "features", "top"]
    assert [notice.code for notice in made.notices] == ["integers-of-32-bits"], "the sum of ids"
    assert made.tools["onnx2tf"]
    assert made.peak_bytes > 10**8, "the converter's own process counts"


@converts
def test_options_have_their_effect(tmp_path: Path) -> None:
    options = (
        "--output_names doubled,map,top --truncate_64bit_io"
        " --force_channel_last_input x:0/picture --force_channel_last_output map"
    )
    made = compiled(picture(tmp_path / "net.onnx"), tmp_path / "out", options)
    assert ends(made) == [
        ("x:0/picture", "float32", (1, 8, 6, 3)),
        ("ids", "int32", (2,)),
        ("doubled", "int32", (2,)),
        ("map", "float32", (1, 8, 6, 4)),
        ("top", "int32", (1, 8, 6)),
    ]
    assert same(made), made.checks
    interpreter = Interpreter(str(tmp_path / "out" / "net.tflite"))
    found = interpreter.get_signature_runner()(
        **{"x:0/picture": np.ones((1, 8, 6, 3), np.float32), "ids": np.array([21, 4], np.int32)}
    )
    assert (found["map"].shape, found["doubled"].tolist()) == ((1, 8, 6, 4), [42, 8])


@converts
def test_no_tensor_of_64_bits_is_left(tmp_path: Path) -> None:
    made = compiled(picture(tmp_path / "net.onnx"), tmp_path / "out", "--truncate_64bit_tensors")
    kinds = {tensor.dtype for tensor in schema.read(tmp_path / "out" / made.entry).main.tensors}
    assert not kinds & {"int64", "uint64"}
    assert [(one.name, one.dtype) for one in made.outputs] == [
        ("twice", "int32"),
        ("features", "float32"),
        ("top", "int32"),
    ]
    assert same(made), made.checks


@converts
@pytest.mark.parametrize("kind", [ModelFormat.TORCHSCRIPT, ModelFormat.EXPORTED_PROGRAM])
def test_pytorchs_models_go_through_onnx(tmp_path: Path, kind: ModelFormat) -> None:
    if "torch" not in REQUIRED:
        pytest.importorskip("torch")
        if (reason := toolchain_named("tflite").unavailable(kind)) is not None:
            pytest.skip(reason)
    import torch

    model = torch.nn.Sequential(torch.nn.Conv2d(3, 4, 3), torch.nn.BatchNorm2d(4), torch.nn.Hardswish()).eval()
    path, example = tmp_path / ("net.pt" if kind == ModelFormat.TORCHSCRIPT else "net.pt2"), torch.rand(1, 3, 8, 8)
    if kind == ModelFormat.TORCHSCRIPT:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of torch.jit, which is what this is about
            torch.jit.save(torch.jit.trace(model, example), str(path))
    else:
        torch.export.save(torch.export.export(model, (example,)), str(path))
    specs = {"image": InputSpec((1, 3, 8, 8))}
    made = compiled(path, tmp_path / "out", "--output_names map --force_channel_last_input image", input_specs=specs)
    assert ends(made) == [("image", "float32", (1, 8, 8, 3)), ("map", "float32", (1, 4, 6, 6))]
    assert same(made), made.checks


@converts
def test_a_real_model_computes_the_same(tmp_path: Path) -> None:
    made = compiled(OCR, tmp_path / "out", input_specs={"x": InputSpec((1, 3, 48, 192))})
    assert [one.shape for one in made.inputs] == [(1, 3, 48, 192)]
    assert same(made), made.checks
    assert made.compiled.operators is not None
    assert made.source.operators is not None
    assert made.compiled.operators < made.source.operators


@converts
def test_an_open_batch_stays_open_and_a_scalar_is_told(tmp_path: Path) -> None:
    nodes = [helper.make_node("Mul", ["x", "factor"], ["y"])]
    model = onnx_graph(
        tmp_path / "net.onnx",
        nodes,
        {"x": (TensorProto.FLOAT, ["n", 3, 4, 5]), "factor": (TensorProto.FLOAT, [])},
        {"y": (TensorProto.FLOAT, ["n", 3, 4, 5])},
    )
    made = compiled(model, tmp_path / "out")
    assert ends(made) == [
        ("x", "float32", (None, 3, 4, 5)),
        ("factor", "float32", (1,)),
        ("y", "float32", (None, 3, 4, 5)),
    ]
    assert [notice.code for notice in made.notices] == ["scalar-became-list"]
    assert same(made), made.checks


@converts
def test_a_recurrent_layer_begins_each_inference_anew(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    weights = {"w": random.random((1, 16, 3), np.float32), "r": random.random((1, 16, 4), np.float32)}
    nodes = [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=4)]
    shapes = {"x": (TensorProto.FLOAT, [5, 1, 3])}, {"y": (TensorProto.FLOAT, [5, 1, 1, 4])}
    made = compiled(onnx_graph(tmp_path / "net.onnx", nodes, *shapes, weights), tmp_path / "out")
    assert same(made), made.checks
    run = Interpreter(str(tmp_path / "out" / made.entry)).get_signature_runner()
    x = random.random((5, 1, 3), np.float32)
    np.testing.assert_array_equal(run(x=x)["y"], run(x=x)["y"])


@converts
@pytest.mark.parametrize(
    ("operator", "kind", "told"),
    [
        (
            "Multinomial",
            TensorProto.FLOAT,
            r"onnx2tf has no operators of TFLite for MULTINOMIAL .*\(ONNX_MULTINOMIAL\)",
        ),
        ("Sin", TensorProto.DOUBLE, "does not load: .*FLOAT64 is unsupported by op Sin"),
    ],
)
def test_what_tflite_cannot_do_is_refused_by_name(tmp_path: Path, operator: str, kind: int, told: str) -> None:
    out = TensorProto.INT32 if operator == "Multinomial" else kind
    shape = [1, 1] if operator == "Multinomial" else [1, 4]
    nodes = [helper.make_node(operator, ["x"], ["y"])]
    model = onnx_graph(tmp_path / "net.onnx", nodes, {"x": (kind, [1, 4])}, {"y": (out, shape)})
    refused(errors.ModelNotSupported, told, model, tmp_path / "out")


def test_options_that_cannot_be_honoured_are_refused(tmp_path: Path) -> None:
    for option in ("--quantize_full_type int8", "--qnn_graph_name net"):
        told = f"the target tflite has no {option.split()[0]} where it is made from onnx"
        refused(errors.ModelNotSupported, told, OCR, tmp_path / "out", option)


# ---- TFLite as it is -------------------------------------------------------------------------------------------------


def test_tflite_is_taken_as_it_is(tmp_path: Path) -> None:
    made = compiled(KWS, tmp_path / "out", "--compute_unit npu")
    assert (tmp_path / "out" / made.entry).read_bytes() == KWS.read_bytes()
    assert [one.is_equal for one in made.checks] == [True]
    assert ["--compute_unit has no effect" in notice.text for notice in made.notices] == [True]
    assert "onnx2tf" not in made.tools
    assert made.quantizations == (), "its inputs and outputs are floating-point"


def test_scale_and_zero_point_of_integer_inputs_are_told(tmp_path: Path) -> None:
    part = Part()
    fed, given = part.tensor("fed", "INT8", [1, 4]), part.tensor("given", "INT8", [1, 4])
    part.operator("RELU", [fed], [given])
    part.inputs, part.outputs = [fed], [given]
    model = tflite_model.read(write(tmp_path / "plain.tflite", part))
    for tensor, scale, zero in zip(model.subgraphs[0].tensors, (0.5, 0.25), (-3, 7), strict=True):
        tensor.quantization = schema_py_generated.QuantizationParametersT(scale=[scale], zeroPoint=[zero])
    tflite_model.write(model, tmp_path / "net.tflite")
    made = compiled(tmp_path / "net.tflite", tmp_path / "out")
    assert made.quantizations == (Quantization("fed", "int8", 0.5, -3), Quantization("given", "int8", 0.25, 7))


def test_tflite_takes_no_options_and_no_other_shapes(tmp_path: Path) -> None:
    told = "the target tflite has no --output_names where it is made from tflite"
    refused(errors.ModelNotSupported, told, KWS, tmp_path / "out", "--output_names a")
    specs = {"input": InputSpec((2, 50, 10, 1))}
    refused(
        errors.SpecInvalid, r"no input 'input' of float32 \[2, 50, 10, 1\]", KWS, tmp_path / "out", input_specs=specs
    )


# ---- the environment, by command -------------------------------------------------------------------------------------


def test_the_environment_is_listed_and_without_an_index_the_reason_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("DYNOLAB_TOOLCHAINS", str(tmp_path / "environments"))

    def dynolab(*arguments: str) -> Done:
        return command(*arguments, cwd=tmp_path)

    rows = {row["name"]: row for row in json.loads(dynolab("toolchains", "--json").stdout)["targets"]}
    assert (rows["onnx"]["environment"], rows["tflite"]["environment"]["made"]) == (None, False)
    assert "not made yet" in " ".join(dynolab("toolchains").stdout.split())
    for arguments in (
        ("toolchains", "install", "tflite"),
        ("compile", str(OCR), "-o", "out", "--options", "--target_runtime tflite"),
    ):
        done = dynolab(*arguments)
        assert done.returncode == 2
        assert "the environment of tflite cannot be made: pip says: No matching distribution found" in done.stderr
        assert "hint: with a connection to a package index, again: dynolab toolchains install tflite" in done.stderr
    assert not (tmp_path / "out").exists()
    other = dynolab("toolchains", "install", "onnx")
    assert (other.returncode, "has no environment of its own" in other.stderr) == (2, True)
    assert dynolab("toolchains", "uninstall", "tflite").stdout == "there is no environment of tflite\n"
