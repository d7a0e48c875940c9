"""The targets of Qualcomm's NPU: its real compiler and its simulator for x86, through the confined process."""

from __future__ import annotations

import json
import os
import warnings
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip(
    "onnxruntime_qnn", reason="onnxruntime-qnn is not installed (extra qnn, x86_64 Linux): no QNN target is tested"
)

import onnx
from onnx import TensorProto, helper

from dynolab import errors
from dynolab.connections.base import this_machine
from dynolab.jobs._sources import open_source
from dynolab.jobs.base import Context
from dynolab.jobs.compile import RESULT_FILE, compile_model
from dynolab.runtimes import _htp as htp
from dynolab.spec import codec
from dynolab.spec.chipsets import chipset_named
from dynolab.spec.compiles import Compiled, CompileSpec, InputSpec, Numbers
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import Quantization
from dynolab.testing.models import onnx_graph

MODELS = Path(__file__).parents[2] / "examples" / "models"
OCR, KWS = MODELS / "ch_ppocr_mobile_v2.0_cls_infer.onnx", MODELS / "mlperf_tiny_kws_int8.tflite"
REQUIRED = os.environ.get("DYNOLAB_REQUIRED_RUNTIMES", "").split()


def compiled(model: Path, folder: Path, options: str, chipset: str = "sm8550", **more: Any) -> Compiled:
    spec = CompileSpec(model=model, folder=folder, options=f"--target_runtime {options}", chipset=chipset, **more)
    made = compile_model(spec, Context(this_machine(), lambda _: None))
    assert not list(Path(os.environ["DYNOLAB_WORKSPACE"]).glob("compile-*")), "nothing is left behind"
    return made


def picture(path: Path, size: Any = 8) -> Path:
    """A convolution over a picture, and the mean of each of its channels."""
    weights = {"w": np.random.default_rng(0).standard_normal((4, 3, 3, 3)).astype(np.float32)}
    nodes = [
        helper.make_node("Conv", ["image", "w"], ["c"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["c"], ["r"]),
        helper.make_node("GlobalAveragePool", ["r"], ["p"]),
        helper.make_node("Flatten", ["p"], ["logits"]),
    ]
    given = {"image": (TensorProto.FLOAT, [1, 3, size, size])}
    return onnx_graph(path, nodes, given, {"logits": (TensorProto.FLOAT, [1, 4])}, weights)


def quantised(path: Path) -> Path:
    """A QDQ model: the integers of its input times two, as integers of its output."""
    weights = {name: np.float32(value) for name, value in (("s", 0.01), ("t", 0.02), ("u", 1.0))}
    weights |= {"z": np.uint8(3), "two": np.uint8(2), "zero": np.uint8(0)}
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "s", "z"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "s", "z"], ["d"]),
        helper.make_node("DequantizeLinear", ["two", "u", "zero"], ["factor"]),
        helper.make_node("Mul", ["d", "factor"], ["m"]),
        helper.make_node("QuantizeLinear", ["m", "t", "z"], ["n"]),
        helper.make_node("DequantizeLinear", ["n", "t", "z"], ["y"]),
    ]
    shape = (TensorProto.FLOAT, [1, 4, 6])
    return onnx_graph(path, nodes, {"x": shape}, {"y": shape}, weights)


def test_a_real_model_is_built_for_the_chipset_that_was_asked_for(tmp_path: Path) -> None:
    shapes = {"x": InputSpec((1, 3, 48, 192))}
    made = compiled(OCR, tmp_path / "out", "qnn_context_binary", input_specs=shapes)
    assert made.npu is not None
    assert (made.npu.chipset, made.npu.soc_model, made.npu.hexagon) == ("SM8550", 43, "v73")
    assert made.npu.operators > 100
    assert made.npu.sdk.startswith("2.")
    assert made.numbers is Numbers.CLOSE
    assert (made.lowest_psnr_db or 0) > 45
    binary = (tmp_path / "out" / made.entry).read_bytes()
    assert b"soc_type=SM8550;arch=73;" in binary, "what the compiler itself noted"
    assert made.npu.graphs[0].encode() in binary
    assert [one.path for one in made.files] == ["ch_ppocr_mobile_v2.0_cls_infer.bin"]
    assert [one.path for one in made.beside] == ["source/ch_ppocr_mobile_v2.0_cls_infer.onnx"]
    assert made.headline.endswith(", on a simulator")
    told = {notice.code: notice.text for notice in made.notices}
    assert {"simulated", "not-run-on-a-device", "float16"} <= told.keys()
    assert codec.decode(Compiled, json.loads((tmp_path / "out" / RESULT_FILE).read_text())) == made
    assert made.tools["onnxruntime-qnn"]


def test_the_same_model_gives_the_same_bytes_and_another_chipset_others(tmp_path: Path) -> None:
    model = picture(tmp_path / "net.onnx")
    for folder, chipset in (("a", "sm8550"), ("b", "hexagon:v73"), ("c", "soc-model:57")):
        compiled(model, tmp_path / folder, "qnn_context_binary", chipset)
    a, b, c = ((tmp_path / folder / "net.bin").read_bytes() for folder in "abc")
    assert a == b
    assert b"soc_type=SM8650;arch=75;" in c


def test_precompiled_onnx_is_a_zip_of_a_folder_that_is_told_apart_from_onnx(tmp_path: Path) -> None:
    made = compiled(picture(tmp_path / "net.onnx"), tmp_path / "out", "precompiled_qnn_onnx")
    path = tmp_path / "out" / "net.onnx.zip"
    assert (made.entry, made.compiled.format) == (path.name, ModelFormat.PRECOMPILED_QNN_ONNX)
    assert (made.lowest_psnr_db or 0) > 50
    with zipfile.ZipFile(path) as archive:
        assert sorted(archive.namelist()) == ["model.onnx/model.bin", "model.onnx/model.onnx"]
        model = onnx.load_model_from_string(archive.read("model.onnx/model.onnx"))
    (node,) = model.graph.node
    told = {one.name: one.s.decode() for one in node.attribute if one.s}
    assert made.npu is not None
    assert (told["ep_cache_context"], told["partition_name"]) == ("model.bin", made.npu.graphs[0])
    with open_source(path) as source:
        assert source.format == ModelFormat.PRECOMPILED_QNN_ONNX
        assert {one.path for one in source.files} == {"model.onnx", "model.bin"}


def test_a_dlc_with_what_ai_hubs_export_sends(tmp_path: Path) -> None:
    options = (
        "qnn_dlc  --output_names class_logits --force_channel_last_input image"
        " --qnn_options context_enable_graphs=my_net --quantize_io --compute_unit npu"
    )
    made = compiled(picture(tmp_path / "zoo.onnx"), tmp_path / "out", options)
    assert [one.path for one in (*made.files, *made.beside)] == ["zoo.dlc", "source/zoo.onnx"]
    assert [(one.name, one.shape) for one in (*made.inputs, *made.outputs)] == [
        ("image", (1, 8, 8, 3)),
        ("class_logits", (1, 4)),
    ]
    assert (made.lowest_psnr_db or 0) > 50
    texts = " ".join(notice.text for notice in made.notices)
    assert "--qnn_options has no effect" in texts
    assert "--quantize_io leaves image, class_logits as they are" in texts
    assert "nothing here loads a DLC" in texts
    with zipfile.ZipFile(tmp_path / "out" / "zoo.dlc") as archive:
        assert {"model", "model.params"} <= set(archive.namelist())
    with open_source(tmp_path / "out" / "zoo.dlc") as source:
        assert source.format == ModelFormat.QNN_DLC


def test_integers_go_in_and_out_of_a_quantised_model_that_is_asked_for_them(tmp_path: Path) -> None:
    options = "precompiled_qnn_onnx --quantize_io --quantize_io_type uint8 --force_channel_last_input x"
    made = compiled(quantised(tmp_path / "net.onnx"), tmp_path / "out", options)
    assert [(one.name, one.dtype, one.shape) for one in (*made.inputs, *made.outputs)] == [
        ("x", "uint8", (1, 6, 4)),
        ("y", "uint8", (1, 4, 6)),
    ]
    scales = {one.name: (one.dtype, round(one.scale, 6), one.zero_point) for one in made.quantizations}
    assert scales == {"x": ("uint8", 0.01, 3), "y": ("uint8", 0.02, 3)}
    assert made.check_reason is None
    assert made.largest_error is not None
    assert made.largest_error <= 0.02, "one step of the output's integers"
    assert isinstance(made.quantizations[0], Quantization)


def test_a_chipset_without_float16_takes_quantised_models_alone(tmp_path: Path) -> None:
    with pytest.raises(errors.ModelNotSupported, match=r"cannot be built for SM7325") as caught:
        compiled(picture(tmp_path / "net.onnx"), tmp_path / "a", "qnn_dlc", "sm7325")
    assert caught.value.hint is not None
    assert "quantize" in caught.value.hint
    made = compiled(quantised(tmp_path / "q.onnx"), tmp_path / "b", "qnn_dlc", "sm7325")
    assert made.npu is not None
    assert made.npu.hexagon == "v68"


def det(path: Path) -> Path:
    shape = (TensorProto.FLOAT, [2, 4, 4])
    nodes = [helper.make_node("Relu", ["x"], ["r"]), helper.make_node("Det", ["r"], ["y"])]
    return onnx_graph(path, nodes, {"x": shape}, {"y": (TensorProto.FLOAT, [2])})


@pytest.mark.parametrize(
    ("make", "options", "chipset", "told"),
    [
        (picture, "qnn_dlc", "", "the target qnn_dlc is made for one chipset, and none is named"),
        (picture, "onnx", "sm8550", "the target onnx is the same for every chipset"),
        (picture, "qnn_dlc", "exynos", "there is no chipset 'exynos'"),
        (picture, "qnn_dlc --qairt_version 2.50", "v73", "--qairt_version 2.50: Qualcomm's AI Runtime is 2.5"),
        (picture, "qnn_dlc --compute_unit cpu", "v73", "is built for the NPU alone"),
        (picture, "qnn_dlc --truncate_64bit_tensors", "v73", "has no --truncate_64bit_tensors"),
        (lambda path: picture(path, "side"), "qnn_dlc", "v73", "'image' has an open dimension"),
        (det, "qnn_context_binary", "v73", r"Hexagon v73\) does not take 1 of the 2 operators: Det"),
        (quantised, "qnn_dlc --quantize_io --quantize_io_type int8", "v73", "'x' is quantised as uint8"),
        (lambda path: KWS, "qnn_dlc", "v73", "is not made from tflite"),
    ],
    ids=[
        "no-chipset",
        "chipset-for-nothing",
        "unknown",
        "version",
        "cpu",
        "option",
        "open",
        "operator",
        "type",
        "tflite",
    ],
)
def test_what_cannot_be_done_is_refused_by_name(
    tmp_path: Path, make: Any, options: str, chipset: str, told: str
) -> None:
    with pytest.raises(errors.UserError, match=told):
        compiled(make(tmp_path / "net.onnx"), tmp_path / "out", options, chipset)
    assert not (tmp_path / "out").exists()


def test_what_the_simulator_takes_too_long_for_is_not_waited_for(tmp_path: Path) -> None:
    inputs = {"image": np.zeros((1, 3, 8, 8), np.float32)}
    model = picture(tmp_path / "net.onnx")
    with pytest.raises(errors.WorkerTimeout, match="the simulator takes more than"):
        htp.simulate(model, chipset_named("v73"), inputs, tmp_path / "late", 0.01)
    (found,) = htp.simulate(model, chipset_named("v73"), inputs, tmp_path / "early", 120)
    assert found.shape == (1, 4)


def test_torchscript_goes_through_onnx(tmp_path: Path) -> None:
    if "torch" not in REQUIRED:
        pytest.importorskip("torch")
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # torch's own: TorchScript is what is tested
        traced = torch.jit.trace(torch.nn.Conv2d(3, 4, 3).eval(), torch.zeros(1, 3, 8, 8))
        torch.jit.save(traced, str(tmp_path / "net.pt"))
    shapes = {"image": InputSpec((1, 3, 8, 8))}
    made = compiled(tmp_path / "net.pt", tmp_path / "out", "qnn_context_binary", input_specs=shapes)
    assert (made.source.format, made.compiled.format) == (
        ModelFormat.TORCHSCRIPT,
        ModelFormat.QNN_CONTEXT_BINARY,
    )
    assert (made.lowest_psnr_db or 0) > 50
