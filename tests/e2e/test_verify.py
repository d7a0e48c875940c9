"""Verifying, through the confined process: two models, or one on two runtimes, give the same numbers, or not."""

from __future__ import annotations

import json
import os
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

import onnx
from onnx import TensorProto, helper, numpy_helper

from dynolab import errors
from dynolab.connections.base import this_machine
from dynolab.jobs import _verify_layers as verify_layers
from dynolab.jobs.base import Context
from dynolab.jobs.quantize import quantize_model
from dynolab.jobs.verify import verify_models
from dynolab.spec import codec
from dynolab.spec.quantizes import QuantizeSpec
from dynolab.spec.verifies import AtLeast, Verdict, Verified, VerifySide, VerifySpec
from dynolab.testing import commands
from dynolab.testing.sample import sample_profile
from dynolab.toolchains._layer_values.onnxruntime import OnnxTraced

CLASSES, SIDE = 5, 8
Array = np.ndarray[Any, Any]


def net(path: Path, *, names: tuple[str, str] = ("picture", "logits"), last: bool = False, batch: int | str = "n", **weights: Array) -> Path:  # fmt: skip
    """A convolution and a dense layer; ``last``: it takes its picture channels last. ``weights`` replace its own."""
    random = np.random.default_rng(0)
    held: dict[str, Array] = {
        "kernel": random.normal(size=(8, 3, 3, 3)).astype(np.float32),
        "dense": random.normal(size=(8 * SIDE * SIDE, CLASSES)).astype(np.float32),
        **weights,
    }
    given, answers = names
    nodes = [
        helper.make_node("Transpose", [given], ["first"], perm=[0, 3, 1, 2], name="transpose"),
        helper.make_node("Conv", ["first" if last else given, "kernel"], ["c"], pads=[1, 1, 1, 1], name="conv"),
        helper.make_node("Relu", ["c"], ["r"], name="relu"),
        helper.make_node("Flatten", ["r"], ["f"], name="flatten"),
        helper.make_node("MatMul", ["f", "dense"], [answers], name="product"),
    ]
    shape = [batch, SIDE, SIDE, 3] if last else [batch, 3, SIDE, SIDE]
    graph = helper.make_graph(
        nodes if last else nodes[1:],
        "g",
        [helper.make_tensor_value_info(given, TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(answers, TensorProto.FLOAT, [batch, held["dense"].shape[1]])],
        [numpy_helper.from_array(array, name) for name, array in held.items()],
    )
    onnx.save_model(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), str(path))
    return path


def pictures(path: Path, count: int) -> Path:
    array = np.random.default_rng(1).normal(size=(count, 3, SIDE, SIDE)).astype(np.float32)
    np.savez(path, picture=array)
    return path


def verified(a: Path, b: Path, *runtimes: str, **more: Any) -> Verified:
    said: list[str] = []
    sides = (VerifySide(a, *runtimes[:1]), VerifySide(b, *runtimes[1:]))
    found = verify_models(VerifySpec(*sides, **more), Context(this_machine(), lambda event: said.append(event["text"])))
    assert not list(Path(os.environ["DYNOLAB_WORKSPACE"]).glob("verify-*")), "nothing is left behind"
    assert codec.decode(Verified, json.loads(json.dumps(codec.encode(found)))) == found
    return found


def command(*arguments: str | Path, cwd: Path) -> commands.Done:
    return commands.command("verify", *arguments, cwd=cwd)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a net, the same channels last and under other names, a quantised one, one that is another, and data."""
    folder = tmp_path_factory.mktemp("models")
    net(folder / "net.onnx")
    net(folder / "last.onnx", names=("image:0", "Identity"), last=True, batch=1)
    net(folder / "other.onnx", dense=np.ones((8 * SIDE * SIDE, CLASSES), np.float32))
    net(folder / "wide.onnx", dense=np.ones((8 * SIDE * SIDE, 7), np.float32))
    data = pictures(folder / "data.npz", 40)
    quantize_model(QuantizeSpec(folder / "net.onnx", data, folder / "small"), Context(this_machine(), lambda _: None))
    return folder


def test_the_same_model_gives_the_same_numbers(models: Path) -> None:
    found = verified(models / "net.onnx", models / "net.onnx", seed=3, samples=2)
    assert (found.verdict, found.passes, found.samples) == (Verdict.EQUAL, True, 2)
    assert found.headline == "the same numbers, bit by bit; 2 of 2 answers agree"
    assert found.a.versions["onnxruntime"]


def test_another_layout_other_names_and_a_fixed_batch_are_matched(models: Path) -> None:
    found = verified(models / "net.onnx", models / "last.onnx", data=models / "data.npz")
    assert found.passes
    assert [(one.a, one.b, one.how) for one in (*found.inputs, *found.outputs)] == [
        ("picture", "image:0", "by shape, channels last in B"),
        ("logits", "Identity", "by shape"),
    ]
    assert found.shapes == {"input:picture": "[1, 3, 8, 8]", "output:logits": "[1, 5]"}
    assert (found.samples, found.data, found.accuracy.answers) == (40, "data.npz", 40)


def test_a_quantised_model_is_told_from_its_source(models: Path) -> None:
    pair = models / "net.onnx", models / "small" / "net.onnx"
    data = models / "data.npz"
    found = verified(*pair, data=data, samples=30)
    assert (found.verdict, found.samples) == (Verdict.POOR, 30)
    worst = found.accuracy.worst
    assert worst is not None
    assert 20 < (worst.psnr_db or 0) < 40
    loose = verified(*pair, data=data, at_least=AtLeast(20.0, 0.8))
    assert (loose.verdict, loose.accuracy.answers) == (Verdict.CLOSE, 40)
    strict = verified(models / "net.onnx", models / "other.onnx", data=data, at_least=AtLeast(None, 0.9))
    assert strict.verdict is Verdict.POOR, "the share of answers alone decides"


def test_one_model_runs_on_two_runtimes(models: Path) -> None:
    pytest.importorskip("openvino")
    exact = "inference_precision=f32"
    done = command("net.onnx", "--runtimes", "onnxruntime,openvino", "--options-b", f'--openvino_options "{exact}"', cwd=models)  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("net.onnx on onnxruntime and openvino  ")
    assert "dB, errors up to" in done.stdout.splitlines()[0]
    assert "B: net.onnx, onnx, on openvino (openvino" in done.stdout
    assert "computed in f32" in done.stdout
    assert "on 4 samples of random values, seed 20250" in done.stdout


def test_the_command_answers_first_and_ends_with_1_where_numbers_are_others(models: Path) -> None:
    done = command("net.onnx", "other.onnx", "--data", "data.npz", cwd=models)
    assert done.returncode == 1, done.stderr
    first = done.stdout.splitlines()[0]
    assert first.startswith("net.onnx and other.onnx  ")
    assert first.endswith("of 40 answers agree: below 40 dB")
    told = json.loads(command("net.onnx", "other.onnx", "--samples", "1", "--json", cwd=models).stdout)
    assert told["accuracy"]["outputs"][0]["psnr_db"] < 40


def test_a_script_stands_beside_its_export(models: Path, tmp_path: Path) -> None:
    """TorchScript that was not traced records no sizes: they are given by its own names, on either side."""
    torch = pytest.importorskip("torch")
    held = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in onnx.load(str(models / "net.onnx")).graph.initializer}  # fmt: skip

    class Net(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.kernel, self.dense = held["kernel"], held["dense"]

        def forward(self, image):
            found = torch.nn.functional.conv2d(image, self.kernel, padding=1)
            return torch.relu(found).flatten(1) @ self.dense

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch.jit is deprecated, and what people have
        torch.jit.script(Net()).save(str(tmp_path / "net.pt"))
    for pair in ((models / "net.onnx", tmp_path / "net.pt"), (tmp_path / "net.pt", models / "net.onnx")):
        with pytest.raises(errors.UserError, match="does not record the shapes"):
            verified(*pair)
        found = verified(*pair, input_shapes={"image": (1, 3, SIDE, SIDE)}, samples=2)
        assert found.accuracy.worst is not None
        assert found.accuracy.worst.psnr_db is None or found.accuracy.worst.psnr_db > 100


def test_outputs_of_other_shapes_do_not_pass(models: Path) -> None:
    found = verified(models / "net.onnx", models / "wide.onnx")
    assert (found.verdict, found.passes) == (Verdict.NOT_COMPARED, False)
    assert found.headline == "not compared: the source's shape is [1, 5], this [1, 7]"


# ---- layer by layer --------------------------------------------------------------------------------------------------


def test_the_first_layer_that_parts_is_the_one_that_was_changed(models: Path, tmp_path: Path) -> None:
    later = verified(models / "net.onnx", models / "other.onnx")
    assert later.layers is not None, "layers are compared where the numbers are poor"
    assert later.layers.first is not None
    assert (later.layers.first.node, later.layers.first.inputs_psnr_db) == ("product", None)
    assert [one.psnr_db for one in later.layers.layers if one.node != "product"] == [None, None, None]
    kernel = np.random.default_rng(5).normal(size=(8, 3, 3, 3)).astype(np.float32)
    early = verified(models / "net.onnx", net(tmp_path / "kernel.onnx", kernel=kernel))
    assert early.layers is not None
    assert early.layers.first is not None
    assert early.layers.first.node == "conv"
    assert [one.node for one in early.layers.layers if one.parts(40.0)] == ["conv"]
    assert (early.layers.samples, early.layers.left, early.layers.is_complete) == (4, 0, True)


def test_a_quantised_model_s_layers_are_seen_as_they_are_read(models: Path) -> None:
    """The rectifier is left out of it: what the convolution is rounded to, without the negative values, stands for its output."""
    found = verified(models / "net.onnx", models / "small" / "net.onnx", data=models / "data.npz", layers=True)
    assert found.layers is not None
    told = {one.node: one for one in found.layers.layers}
    assert set(told) == {"relu", "flatten", "product"}
    assert all(25 < (one.psnr_db or 0) < 70 for one in told.values())
    assert (told["relu"].node_b, told["relu"].inputs_psnr_db) == ("conv", None)
    product = told["product"].psnr_db
    assert product == pytest.approx(found.accuracy.worst and found.accuracy.worst.psnr_db, abs=5)


def test_layers_may_be_left_out_and_timed(models: Path) -> None:
    plain = verified(models / "net.onnx", models / "other.onnx", layers=False)
    assert (plain.layers, plain.layers_reason) == (None, None)
    done = command("net.onnx", "other.onnx", "--times", "--json", cwd=models)
    layers = json.loads(done.stdout)["layers"]["layers"]
    for side in ("a", "b"):
        assert any((one[f"time_{side}_ns"] or 0) > 0 for one in layers)


def test_openvino_s_layers_stand_beside_onnx_runtime_s(models: Path) -> None:
    pytest.importorskip("openvino")
    sides = VerifySide(models / "net.onnx"), VerifySide(models / "net.onnx", "openvino", '--openvino_options "inference_precision=f32"')  # fmt: skip
    spec = VerifySpec(*sides, samples=2, layers=True)
    for turned in (spec, VerifySpec(spec.b, spec.a, samples=2, layers=True)):
        found = verify_models(turned, Context(this_machine(), lambda _: None))
        assert found.layers is not None, found.layers_reason
        assert len(found.layers.layers) >= 3
        assert all(one.psnr_db is None or one.psnr_db > 100 for one in found.layers.layers)


def test_layers_of_tflite_are_told(tmp_path: Path) -> None:
    pytest.importorskip("ai_edge_litert")
    float32 = Path(__file__).parents[2] / "examples" / "models" / "rock_paper_scissors_float32.tflite"
    found = verified(float32, float32, samples=1, layers=True)
    assert found.layers is not None, found.layers_reason
    assert len(found.layers.layers) > 5
    assert all(one.psnr_db is None for one in found.layers.layers)


def test_where_the_inside_cannot_be_told_the_reason_is(null_model: Callable[..., Path]) -> None:
    found = verified(null_model(), null_model(), layers=True)
    assert found.layers is None
    assert found.layers_reason == "A: null tells no tensors inside of null models"


def test_a_few_tensors_at_a_time_give_the_same(models: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    a, b = (OnnxTraced(models / name) for name in ("net.onnx", "other.onnx"))
    samples = [({"picture": array},) * 2 for array in np.load(models / "data.npz")["picture"][:2, None]]
    said: list[str] = []
    whole = verify_layers.compare(a, b, samples, 40.0, said.append)
    monkeypatch.setattr(verify_layers, "FIRST_BATCH", 1)
    monkeypatch.setattr(verify_layers, "BATCH_BYTES", 1)
    assert verify_layers.compare(a, b, samples, 40.0, said.append) == whole
    assert said == ["layer 1 of 4", *(f"layer {number} of 4" for number in (1, 2, 3, 4))]
    monkeypatch.setattr(verify_layers, "LAYERS_S", -1.0)
    assert not verify_layers.compare(a, b, samples, 40.0, said.append).is_complete


def test_weights_outside_the_file_are_found(models: Path, tmp_path: Path) -> None:
    model = onnx.load(str(models / "net.onnx"))
    onnx.save_model(
        model, str(tmp_path / "net.onnx"), save_as_external_data=True, location="net.data", size_threshold=0
    )
    found = verified(tmp_path / "net.onnx", models / "net.onnx", layers=True, samples=1)
    assert found.layers is not None, found.layers_reason
    assert len(found.layers.layers) == 4
    assert found.a.name != found.b.name, "of two files of one name the folders are told, too"


# ---- what is refused -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("more", "kind", "told"),
    [
        ({"data": Path("none.npz")}, errors.NotFound, "there are no data at none.npz"),
        ({"samples": 0}, errors.SpecInvalid, "--samples 0"),
        ({"seed": -1}, errors.SpecInvalid, "--seed -1"),
        ({"timeout_s": 0.0}, errors.SpecInvalid, "--timeout 0"),
        ({"timeout_s": 0.01}, errors.ModelNotSupported, "is not verified within 0.01 s"),
        ({"input_shapes": {"nothing": (1, 3)}}, errors.SpecInvalid, "no input named 'nothing'"),
        ({"profiles": (sample_profile(),)}, errors.SpecInvalid, "is neither of A nor of B"),
    ],
)
def test_bad_wishes_are_refused(models: Path, more: dict[str, Any], kind: type[errors.Error], told: str) -> None:
    with pytest.raises(kind, match=told):
        verified(models / "net.onnx", models / "net.onnx", **more)


def test_errors_name_the_side(models: Path, tmp_path: Path, null_model: Callable[..., Path]) -> None:
    good, junk = models / "net.onnx", tmp_path / "junk.onnx"
    junk.write_bytes(b"\x08\x07 no model at all" * 40)
    tall = net(tmp_path / "tall.onnx", dense=np.ones((3, CLASSES), np.float32))
    cases: list[tuple[tuple[Any, ...], str]] = [
        ((good, junk), "B: junk.onnx is not a whole ONNX file"),
        ((good, good, "litert"), "A: runtime litert does not run onnx models"),
        ((good, null_model()), "input 'picture' is float32 [n, 3, 8, 8] in A, and float32 [1] in B"),
        ((good, tall), "B: ONNX Runtime cannot load tall.onnx"),
    ]
    for arguments, told in cases:
        with pytest.raises(errors.UserError) as refused:
            verified(*arguments)
        assert refused.value.message.startswith(told), refused.value.message
