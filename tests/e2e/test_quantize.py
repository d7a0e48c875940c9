"""Quantising, through the confined process: integers from calibration data, their numbers told, and a loud word where they are poor."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass
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
from dynolab.jobs.quantize import RESULT_FILE, quantize_model
from dynolab.spec import codec
from dynolab.spec.models import ModelFormat
from dynolab.spec.quantizes import ACTIVATIONS, Quantized, QuantizeSpec
from dynolab.testing.commands import command
from dynolab.toolchains._quantizers.base import quantizer_of

EXAMPLES = Path(__file__).parents[2] / "examples" / "models"
REQUIRED = os.environ.get("DYNOLAB_REQUIRED_RUNTIMES", "").split()
CLASSES, SIDE = 5, 8


def quantized(model: Path, data: Path, folder: Path, **more: Any) -> Quantized:
    spec = QuantizeSpec(model=model, data=data, folder=folder, **more)
    made = quantize_model(spec, Context(this_machine(), lambda _: None))
    assert not list(Path(os.environ["DYNOLAB_WORKSPACE"]).glob("quantize-*")), "nothing is left behind"
    return made


def classifier(path: Path, *, spread: float = 1.0, opset: int = 17, **changes: Any) -> Path:
    """Convolutions and a dense layer that tell five patterns apart; between the convolutions some channels are ``spread`` times as strong."""
    random = np.random.default_rng(0)
    gains = np.where(np.arange(8) % 2, 1.0, spread).astype(np.float32)
    kernel = random.normal(size=(8, 3, 3, 3)).astype(np.float32) * gains[:, None, None, None]
    back = (1 / gains)[:, None, None, None]
    dense = random.normal(size=(8 * SIDE * SIDE, CLASSES)).astype(np.float32)
    weights = {"kernel": kernel, "back": back, "dense": dense, "bias": np.zeros(CLASSES, np.float32)}
    nodes = [
        helper.make_node("Conv", ["picture", "kernel"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("Conv", ["r", "back"], ["e"], group=8, name="even"),
        helper.make_node("Flatten", ["e"], ["f"], name="flatten"),
        helper.make_node("Gemm", ["f", "dense", "bias"], ["logits"], name="gemm"),
    ]
    picture = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    logits = helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["n", CLASSES])
    held = [numpy_helper.from_array(array, name) for name, array in weights.items()]
    graph = helper.make_graph(nodes, "g", [picture], [logits], held)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)
    onnx.save_model(model, str(path), **changes)
    return path


def pictures(count: int, *, scale: float = 1.0, seed: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(0, scale, (count, 3, SIDE, SIDE)).astype(np.float32)


def stored(path: Path, array: np.ndarray, name: str = "picture") -> Path:
    np.savez(path, **{name: array})
    return path


def scales(model: Path) -> dict[str, float]:
    """The scale of every QuantizeLinear in a file, by what it reads."""
    graph = onnx.load(str(model)).graph
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    return {node.input[0]: float(held[node.input[1]]) for node in graph.node if node.op_type == "QuantizeLinear"}


def test_a_classifier_becomes_integers_and_still_answers_the_same(tmp_path: Path) -> None:
    data = stored(tmp_path / "data.npz", pictures(100))
    made = quantized(classifier(tmp_path / "net.onnx"), data, tmp_path / "out")
    assert made.accuracy is not None
    assert made.accuracy.worst is not None
    assert (made.accuracy.worst.psnr_db or 0) > 25
    assert (made.accuracy.answers, made.held_out, made.calibration_samples, made.check_samples) == (20, True, 80, 20)
    assert (made.accuracy.agreement or 0) >= 0.9
    assert not made.accuracy.is_poor
    assert made.source.file_bytes > 2 * made.quantized.file_bytes
    assert made.quantized.operators is not None
    assert made.time_ns > 0
    assert 10**7 < made.peak_bytes < 10**9
    assert made.range_scheme == "mse_minimizer"
    assert [(one.name, one.dtype) for one in made.quantizations] == [("picture", "uint8"), ("logits", "uint8")]
    model = onnx.load(str(tmp_path / "out" / made.entry))
    onnx.checker.check_model(model, full_check=True)
    assert [(entry.domain, entry.version) for entry in model.opset_import] == [("", 21)]
    assert next(one.scale for one in made.quantizations) == pytest.approx(
        scales(tmp_path / "out" / "net.onnx")["picture"]
    )
    assert codec.decode(Quantized, json.loads((tmp_path / "out" / RESULT_FILE).read_text())) == made


@pytest.mark.parametrize(
    ("weights", "activations", "elements"),
    [
        ("int8", "int8", {TensorProto.INT8, TensorProto.UINT8}),
        ("int8", "int16", {TensorProto.INT8, TensorProto.UINT16}),
        ("int4", "int8", {TensorProto.INT4, TensorProto.UINT8}),
        ("int4", "int16", {TensorProto.INT4, TensorProto.UINT16}),
    ],
)
def test_the_types_are_those_that_were_asked_for(
    tmp_path: Path, weights: str, activations: str, elements: set[int]
) -> None:
    data = stored(tmp_path / "data.npz", pictures(40))
    made = quantized(
        classifier(tmp_path / "net.onnx"), data, tmp_path / "out", weights=weights, activations=activations
    )
    graph = onnx.load(str(tmp_path / "out" / made.entry)).graph
    held = {tensor.name: tensor.data_type for tensor in graph.initializer}
    zeros = {held[node.input[2]] for node in graph.node if "Linear" in node.op_type}
    assert elements <= zeros
    assert zeros <= elements | {TensorProto.INT32}, "biases alone are 32-bit"
    session = onnxruntime.InferenceSession(str(tmp_path / "out" / made.entry))
    assert session.run(None, {"picture": pictures(2)})[0].shape == (2, CLASSES)


def test_weights_have_a_scale_for_each_channel(tmp_path: Path) -> None:
    quantized(classifier(tmp_path / "net.onnx"), stored(tmp_path / "data.npz", pictures(30)), tmp_path / "out")
    graph = onnx.load(str(tmp_path / "out" / "net.onnx")).graph
    held = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
    sizes = sorted(held[node.input[1]].size for node in graph.node if node.op_type == "DequantizeLinear")
    assert {CLASSES, 8} <= set(sizes)


def test_other_data_give_other_scales(tmp_path: Path) -> None:
    model, found = classifier(tmp_path / "net.onnx"), []
    for number, scale in enumerate((1.0, 7.0)):
        data = stored(tmp_path / f"{number}.npz", pictures(40, scale=scale))
        made = quantized(model, data, tmp_path / str(number), options="--range_scheme min_max")
        found.append({one.name: one.scale for one in made.quantizations})
        assert scales(tmp_path / str(number) / "net.onnx")["picture"] == pytest.approx(found[-1]["picture"])
    assert found[1]["picture"] == pytest.approx(7 * found[0]["picture"])
    assert found[1]["logits"] > 5 * found[0]["logits"]


def test_the_range_scheme_has_its_effect(tmp_path: Path) -> None:
    far = pictures(1500)
    far[0, 0, 0, 0] = 8.0  # one value apart from all others
    data, model, found = stored(tmp_path / "data.npz", far), classifier(tmp_path / "net.onnx"), {}
    for scheme in ("min_max", "mse_minimizer"):
        made = quantized(model, data, tmp_path / scheme, options=f"--range_scheme {scheme}")
        assert made.range_scheme == scheme
        found[scheme] = next(one.scale for one in made.quantizations if one.name == "picture")
    assert found["min_max"] == pytest.approx((8.0 - float(far.min())) / 255, rel=1e-5)
    assert found["mse_minimizer"] < 0.9 * found["min_max"], "the far value is given up for the others' resolution"


def test_the_range_scheme_is_chosen_by_the_width_of_the_activations(tmp_path: Path) -> None:
    data, model = stored(tmp_path / "data.npz", pictures(10)), classifier(tmp_path / "net.onnx")
    schemes = {kind: quantized(model, data, tmp_path / kind, activations=kind).range_scheme for kind in ACTIVATIONS}
    assert schemes == {"int8": "mse_minimizer", "int16": "min_max"}


def test_a_poor_one_is_told_aloud(tmp_path: Path) -> None:
    """Every second channel is a three-hundredth of its neighbours, and as important: one scale for all leaves nothing of it."""
    data = stored(tmp_path / "data.npz", pictures(60))
    model = classifier(tmp_path / "net.onnx", spread=3e-3)
    made = quantized(model, data, tmp_path / "out")
    assert made.is_poor
    assert made.accuracy is not None
    assert made.accuracy.is_poor
    told = [notice for notice in made.notices if notice.level == "warning"]
    assert [notice.code for notice in told] == ["quantised-poorly", "parts-first"]
    assert "16-bit activations lose less" in told[0].text
    assert told[1].text.startswith("the numbers part first at even (Conv), ")
    done = dynolab("quantize", model, "--data", data, "-o", "again", cwd=tmp_path)
    assert done.code == 1, done.err
    assert done.out.splitlines()[1].startswith("warning: the quantised model is hardly the float one any more")
    assert (tmp_path / "again" / "net.onnx").is_file(), "poor or not, it is there to look at"
    wide = quantized(model, data, tmp_path / "wide", activations="int16")
    assert not wide.is_poor


@pytest.mark.parametrize("kind", ["int16", "fp16"])
def test_the_layers_that_lose_most_keep_a_wider_type(tmp_path: Path, kind: str) -> None:
    """Of three layers the convolution that evens the channels out loses most, since one scale holds for all that it reads."""
    data = stored(tmp_path / "data.npz", pictures(60))
    model = classifier(tmp_path / "net.onnx", spread=3e-3)
    options = f'--lite_mp "percentage=50;override_qtype={kind}"'
    plain, mixed = quantized(model, data, tmp_path / "plain"), quantized(model, data, tmp_path / "m", options=options)
    assert [notice.code for notice in mixed.notices] == ["mixed-precision"]
    assert "2 layers that lose most keep" in mixed.notices[0].text
    assert "even" in mixed.notices[0].text
    assert "gemm" not in mixed.notices[0].text
    least = [one.accuracy.worst.psnr_db for one in (plain, mixed) if one.accuracy and one.accuracy.worst]
    assert least[1] is not None
    assert least[0] is not None
    assert least[1] > least[0] + 10
    graph = onnx.load(str(tmp_path / "m" / "net.onnx")).graph
    held = {tensor.name: tensor.data_type for tensor in graph.initializer}
    kinds = {held[node.input[2]] for node in graph.node if node.op_type == "QuantizeLinear"}
    assert kinds == ({TensorProto.UINT8, TensorProto.UINT16} if kind == "int16" else {TensorProto.UINT8})


def test_few_samples_are_used_and_told_of(tmp_path: Path) -> None:
    made = quantized(classifier(tmp_path / "net.onnx"), stored(tmp_path / "data.npz", pictures(3)), tmp_path / "out")
    assert (made.calibration_samples, made.check_samples, made.held_out) == (3, 3, False)
    assert "few-samples" in [notice.code for notice in made.notices]


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
def test_weights_outside_the_file_come_along(tmp_path: Path, packed: bool) -> None:
    folder = tmp_path / "net"
    folder.mkdir()
    classifier(folder / "model.onnx", save_as_external_data=True, location="model.data", size_threshold=0)
    model = Path(shutil.make_archive(str(folder), "zip", folder)) if packed else folder
    made = quantized(model, stored(tmp_path / "data.npz", pictures(30)), tmp_path / "out")
    assert (made.entry, made.is_poor, made.check_reason) == ("model.onnx", False, None)


def test_forms_that_older_exporters_write_are_quantised(tmp_path: Path) -> None:
    """Weights that are listed among the inputs, nodes without names, a bias of shape [1, N], opset 9."""
    model = onnx.load(str(classifier(tmp_path / "net.onnx", opset=9)))
    model.ir_version = 3
    for tensor in model.graph.initializer:
        if tensor.name == "bias":
            tensor.CopyFrom(numpy_helper.from_array(np.linspace(-9, 9, CLASSES, dtype=np.float32)[None], "bias"))
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, tensor.data_type, tensor.dims))
    for node in model.graph.node:
        node.name = ""
    onnx.save_model(model, str(tmp_path / "old.onnx"))
    made = quantized(tmp_path / "old.onnx", stored(tmp_path / "data.npz", pictures(40)), tmp_path / "out")
    assert made.accuracy is not None
    assert made.accuracy.worst is not None
    assert (made.accuracy.worst.psnr_db or 0) > 25
    assert [one.name for one in made.inputs] == ["picture"]
    graph = onnx.load(str(tmp_path / "out" / "old.onnx")).graph
    assert TensorProto.INT32 in {tensor.data_type for tensor in graph.initializer}, "the bias is quantised, too"


def test_calibration_data_come_in_the_forms_that_there_are(tmp_path: Path) -> None:
    h5 = pytest.importorskip("dynolab.jobs._datasets.h5")
    model, array, found = classifier(tmp_path / "net.onnx"), pictures(12), {}
    np.save(tmp_path / "data.npy", array)
    h5.write(tmp_path / "data.h5", {"picture": list(array[:, None])})
    folder = tmp_path / "folder"
    folder.mkdir()
    for number in range(3):
        stored(folder / f"{number}.npz", array[4 * number : 4 * number + 4])
    (folder / "README.txt").write_text("how they were made")
    stored(tmp_path / "data.npz", array)
    for name in ("data.npz", "data.npy", "data.h5", "folder"):
        made = quantized(model, tmp_path / name, tmp_path / f"out-{name}")
        found[name] = (made.calibration_samples, made.quantizations)
    assert set(map(str, found.values())) == {str(found["data.npz"])}, "the same samples, the same scales"


@dataclass(frozen=True)
class Answer:
    code: int
    out: str
    err: str


def dynolab(*arguments: str | Path, cwd: Path) -> Answer:
    done = command(*arguments, cwd=cwd)
    return Answer(done.returncode, done.stdout, done.stderr)


def test_the_command_answers_first_and_what_it_makes_is_profiled(tmp_path: Path) -> None:
    classifier(tmp_path / "net.onnx")
    stored(tmp_path / "data.npz", pictures(60))
    done = dynolab("quantize", "net.onnx", "--data", "data.npz", "--activations", "int16", cwd=tmp_path)
    assert done.code == 0, done.err
    lines = done.out.splitlines()
    assert lines[0].startswith("net.onnx -> net.onnx  ")
    assert "dB, 12 of 12 answers agree" in lines[0]
    assert "12 samples kept from the calibration" in done.out
    assert "warning" not in done.out
    assert lines[-1] == "quantised: net-w8a16/net.onnx"
    profiled = dynolab(
        "profile", "net-w8a16/net.onnx", "--runtime", "onnxruntime", "--options", "--max_profiler_iterations 1",
        "--repeats", "1", "--format", "json", cwd=tmp_path,
    )  # fmt: skip
    assert profiled.code == 0, profiled.err
    assert json.loads(profiled.out)["model"]["precision"].startswith("int8")


def refused(kind: type[errors.Error], told: str, model: Path, data: Path, folder: Path, **more: Any) -> None:
    with pytest.raises(kind, match=told):
        quantized(model, data, folder, **more)
    assert not folder.exists(), "nothing is made of what is refused"


def test_data_that_the_model_does_not_take_are_refused(tmp_path: Path) -> None:
    model, out = classifier(tmp_path / "net.onnx"), tmp_path / "out"
    refused(errors.NotFound, "no calibration data at", model, tmp_path / "none.npz", out)
    nothing = pictures(4)
    nothing[1, 0, 0, :2] = np.nan
    cases: dict[str, tuple[str, np.ndarray, str]] = {
        "name": ("image", pictures(4), "no array for the input 'picture'"),
        "shape": ("picture", np.zeros((4, 3, SIDE, SIDE + 1), np.float32), r"has the shape \[4, 3, 8, 9\]"),
        "type": ("picture", pictures(4).astype(np.float64), "are float64, it is float32"),
        "nan": ("picture", nothing, r"2 values for the input 'picture' are infinite or no numbers"),
        "empty": ("picture", pictures(0), "hold no sample"),
    }
    for case, (name, array, told) in cases.items():
        refused(errors.SpecInvalid, told, model, stored(tmp_path / f"{case}.npz", array, name), out)
    (tmp_path / "junk.npz").write_bytes(b"PK\x03\x04 no archive")
    refused(errors.SpecInvalid, "cannot be read as .npz", model, tmp_path / "junk.npz", out)
    np.save(tmp_path / "pickled.npy", np.array([{}], dtype=object), allow_pickle=True)
    refused(errors.SpecInvalid, "Python objects", model, tmp_path / "pickled.npy", out)
    (tmp_path / "data.csv").write_text("1,2")
    refused(errors.SpecInvalid, "no file of calibration data", model, tmp_path / "data.csv", out)


def test_models_that_cannot_be_quantised_are_refused_by_name(tmp_path: Path) -> None:
    out, data = tmp_path / "out", stored(tmp_path / "data.npz", pictures(24))
    junk = tmp_path / "junk.onnx"
    junk.write_bytes(b"\x08\x07 no model at all" * 40)
    refused(errors.UserError, "junk.onnx", junk, data, out)
    quantized(classifier(tmp_path / "net.onnx"), data, tmp_path / "once")
    refused(errors.ModelNotSupported, "is quantised already", tmp_path / "once" / "net.onnx", data, out)
    value = helper.make_tensor_value_info("picture", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    result = helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n", 3, SIDE, SIDE])
    graph = helper.make_graph([helper.make_node("Erf", ["picture"], ["y"])], "g", [value], [result])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8)
    onnx.save_model(model, str(tmp_path / "erf.onnx"))
    refused(errors.ModelNotSupported, "no operator that is quantised", tmp_path / "erf.onnx", data, out)


def test_what_cannot_be_honoured_is_refused(tmp_path: Path) -> None:
    model, data, out = classifier(tmp_path / "net.onnx"), stored(tmp_path / "data.npz", pictures(24)), tmp_path / "out"
    refused(errors.SpecInvalid, "weights are not quantised to 'int2'", model, data, out, weights="int2")
    refused(errors.SpecInvalid, "there is no option --range", model, data, out, options="--range min_max")
    refused(errors.SpecInvalid, "does not take 'entropy'", model, data, out, options="--range_scheme entropy")
    refused(errors.ModelNotSupported, "is not quantised within 0.01 s", model, data, out, timeout_s=0.01)
    lite = '--lite_mp "percentage=10;override_qtype=int16"'
    refused(errors.ModelNotSupported, "has no effect where all", model, data, out, activations="int16", options=lite)
    refused(errors.SpecInvalid, "a percentage from 1 to 100", model, data, out, options="--lite_mp override_qtype=fp16")
    out.mkdir()
    (out / "mine").touch()
    with pytest.raises(errors.Conflict, match="not an empty folder"):
        quantized(model, data, out)


# ---- TFLite ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def rock(tmp_path: Path) -> tuple[Path, Path]:
    """A float classifier of hands, and data."""
    if (reason := quantizer_of(ModelFormat.TFLITE).unavailable()) is not None:
        pytest.skip(reason)
    random = np.random.default_rng(0)
    hands = random.random((30, 84, 84, 1), dtype=np.float32)
    return EXAMPLES / "rock_paper_scissors_float32.tflite", stored(tmp_path / "hands.npz", hands, "conv2d_input")


@pytest.mark.parametrize("activations", ACTIVATIONS)
def test_a_tflite_file_becomes_integers_with_the_same_inputs(
    tmp_path: Path, rock: tuple[Path, Path], activations: str
) -> None:
    made = quantized(*rock, tmp_path / "out", activations=activations)
    assert made.accuracy is not None
    assert made.accuracy.worst is not None
    assert (made.accuracy.worst.psnr_db or 0) > 30
    assert (made.accuracy.answers, made.accuracy.agreement) == (6, 1.0)
    assert [one.dtype for one in made.inputs] == ["float32"]
    assert [one.dtype for one in made.quantizations] == [activations] * 2
    assert made.quantizations[0].scale == pytest.approx(1 / 255 if activations == "int8" else 1 / 32767, rel=0.01)
    assert made.source.file_bytes > 3 * made.quantized.file_bytes
    assert made.range_scheme == "min_max"
    few = ("--options", "--max_profiler_iterations 1 --repeats 1")
    done = dynolab("profile", tmp_path / "out" / made.entry, *few, cwd=tmp_path)
    assert done.code == 0, done.err


def test_what_tflite_files_lack_is_refused(tmp_path: Path, rock: tuple[Path, Path]) -> None:
    model, data = rock
    out = tmp_path / "out"
    refused(errors.ModelNotSupported, "not quantised to int4 weights", model, data, out, weights="int4")
    scheme = "--range_scheme mse_minimizer"
    refused(errors.ModelNotSupported, "mse_minimizer is not done for tflite", model, data, out, options=scheme)
    already = EXAMPLES / "mlperf_tiny_kws_int8.tflite"
    refused(errors.ModelNotSupported, "quantised already", already, data, out)
    cut = tmp_path / "cut.tflite"
    cut.write_bytes(model.read_bytes()[:10_000])
    refused(errors.UserError, "cut.tflite", cut, data, out)
