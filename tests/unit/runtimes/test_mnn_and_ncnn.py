"""MNN and ncnn: a published model beside ONNX Runtime, options that have an effect, and files that are no models."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from dynolab.errors import Error, LoadFailed, ModelInvalid, SpecInvalid
from dynolab.formats import EXTENSIONS
from dynolab.runtimes.base import Runtime, Target, runtime_named
from dynolab.spec import options
from dynolab.testing import models
from dynolab.testing.runtime_contract import psnr_of

EXAMPLES = Path(__file__).parents[3] / "examples" / "models"
OCR = EXAMPLES / "ch_ppocr_mobile_v2.0_cls_infer.onnx"
Make = Callable[..., Target]


def runtime(name: str) -> Runtime:
    found = runtime_named(name)
    if (reason := found.unavailable()) is not None:
        pytest.skip(reason)
    return found


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Each small model once, and a published one in MNN's format."""
    folder = tmp_path_factory.mktemp("made")
    models.ncnn(folder / "net.param")
    if runtime_named("mnn").unavailable() is None:
        import _tools

        models.mnn(folder / "net.mnn")
        names = ["--modelFile", str(OCR), "--MNNModel", str(folder / "ocr.mnn"), "--bizCode", "dynolab"]
        _tools.mnnconvert(["mnnconvert", "-f", "ONNX", *names])
    return folder


@pytest.fixture
def target(tmp_path: Path) -> Make:
    def make(model: Path, text: str = "", **shapes: tuple[int, ...]) -> Target:
        return Target(model, EXTENSIONS[model.suffix], tmp_path, tmp_path, options.parse(text), tmp_path, shapes)

    return make


def test_mnn_gives_what_onnxruntime_gives(made: Path, target: Make) -> None:
    onnxruntime = pytest.importorskip("onnxruntime")
    mnn, asked = runtime("mnn"), target(made / "ocr.mnn", x=(2, 3, 48, 192))
    described = mnn.describe(asked)
    assert [(one.name, one.dtype, one.shape) for one in described.inputs] == [("x", "float32", (2, 3, 48, 192))]
    assert described.operators
    array = np.random.default_rng(0).random((2, 3, 48, 192), dtype=np.float32)
    session = mnn.load(asked)
    session.bind({"x": array}, {})
    run = session.runner()
    for _ in range(3):
        run()
    reference = onnxruntime.InferenceSession(OCR)
    [name] = [one.name for one in reference.get_outputs()]
    [expected] = reference.run(None, {"x": array})
    assert psnr_of(expected, session.fetch()[name]) > 80


@pytest.mark.parametrize(("name", "model"), [("mnn", "net.mnn"), ("ncnn", "net.param")])
def test_threads_are_those_asked_for(name: str, model: str, made: Path, target: Make) -> None:
    one, shape = runtime(name), (1, 3, 16, 16)[1 if name == "ncnn" else 0 :]
    for threads in ("1", "2"):
        session = one.load(target(made / model, f"--{name}_options num_threads={threads}", x=shape))
        assert session.effective()["num_threads"] == threads


def test_ncnn_without_float16_is_exact(made: Path, target: Make) -> None:
    ncnn, array = runtime("ncnn"), np.random.default_rng(0).random((3, 16, 16), dtype=np.float32)
    found = {}
    for fp16 in ("true", "false"):
        session = ncnn.load(target(made / "net.param", f"--ncnn_options fp16={fp16}", x=(3, 16, 16)))
        assert session.effective()["use_fp16_storage"] == fp16
        session.bind({"x": array}, {})
        session.runner()()
        found[fp16] = session.fetch()["y"]
    reference = pytest.importorskip("onnx.reference").ReferenceEvaluator(str(models.onnx_net(made / "net.onnx")))
    [expected] = reference.run(None, {"x": array[None]})
    assert psnr_of(expected[0], found["false"]) > 120
    assert psnr_of(expected[0], found["true"]) < psnr_of(expected[0], found["false"])


def test_ncnn_asks_for_a_shape_that_the_file_does_not_tell(made: Path, tmp_path: Path, target: Make) -> None:
    text = (made / "net.param").read_text().replace("Input x 0 1 x 0=16 1=16 2=3", "Input x 0 1 x")
    (tmp_path / "open.param").write_text(text)
    with pytest.raises(SpecInvalid, match="does not tell the shape of the input 'x'") as refused:
        runtime("ncnn").describe(target(tmp_path / "open.param"))
    assert "--input-shape x=" in (refused.value.hint or "")
    described = runtime("ncnn").describe(target(tmp_path / "open.param", x=(3, 32, 32)))
    assert described.inputs[0].shape == (3, 32, 32)


@pytest.mark.parametrize(
    "content", [b"x", b"\0" * 64, b"\xff" * 64, b"7767517\n", b"7767517\n1 1\n", b"7767517\n9 9\nInput x 0 1 x\n"]
)
@pytest.mark.parametrize(("name", "ending"), [("mnn", ".mnn"), ("ncnn", ".param")])
def test_what_is_no_model_is_refused_by_name(
    name: str, ending: str, content: bytes, tmp_path: Path, target: Make
) -> None:
    broken = tmp_path / f"broken{ending}"
    broken.write_bytes(content)
    with pytest.raises(ModelInvalid, match=r"broken\.(mnn|param) is not a whole (MNN|ncnn) model"):
        runtime(name).describe(target(broken))


def test_half_of_mnns_file_is_refused(made: Path, tmp_path: Path, target: Make) -> None:
    runtime("mnn")
    whole = (made / "net.mnn").read_bytes()
    (tmp_path / "half.mnn").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(Error, match=r"half\.mnn"):
        runtime("mnn").describe(target(tmp_path / "half.mnn"))


@pytest.mark.parametrize("what", ["a layer that ncnn lacks", "weights that are cut off"])
def test_what_ncnn_cannot_load_is_told(what: str, made: Path, tmp_path: Path, target: Make) -> None:
    ncnn, text, weights = runtime("ncnn"), (made / "net.param").read_text(), (made / "net.bin").read_bytes()
    lacks = what.startswith("a layer")
    (tmp_path / "net.param").write_text(text.replace("Flatten", "Flattened") if lacks else text)
    (tmp_path / "net.bin").write_bytes(weights if lacks else weights[:100])
    with pytest.raises(LoadFailed, match=r"cannot load net\.param" if lacks else r"cannot load net\.bin"):
        ncnn.load(target(tmp_path / "net.param", x=(3, 16, 16)))
