"""The runtime contract over every plug-in and format that is found; nothing is listed by hand."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from dynolab import plugins
from dynolab.measure.protocol import InputWishes, RunKind
from dynolab.runtimes.base import runtime_named
from dynolab.sandbox import base as sandboxes
from dynolab.spec.models import ModelFormat
from dynolab.testing import models
from dynolab.testing.harness import Harness
from dynolab.testing.runtime_contract import RuntimeContract

EXAMPLES = Path(__file__).parents[2] / "examples" / "models"
REQUIRED = os.environ.get("DYNOLAB_REQUIRED_RUNTIMES", "").split()
"""Runtimes that must be there: a missing one fails instead of being skipped."""


@cache
def make_model(kind: ModelFormat, made: Path) -> Path:
    folder = made / kind
    folder.mkdir()
    if kind == ModelFormat.TFLITE:
        return Path(shutil.copy(EXAMPLES / "mlperf_tiny_kws_int8.tflite", folder / "net.tflite"))
    name, maker = models.MAKERS[kind]
    return maker(folder / name)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where each model is made once, in a folder of its own; nobody writes to it after that."""
    return tmp_path_factory.mktemp("models")


def ready_model(name: str, kind: ModelFormat, made: Path) -> Path:
    """A small model of the format; skips the test when the runtime, or what makes the model, is not there."""
    reason = runtime_named(name).unavailable()
    if reason is not None and name not in REQUIRED:
        pytest.skip(reason)
    assert reason is None
    try:
        return make_model(kind, made)
    except ModuleNotFoundError as error:
        pytest.skip(f"no small {kind} model can be made: {error}")


def suite(name: str, kind: ModelFormat) -> type[RuntimeContract]:
    """The contract's tests for one runtime and format."""

    @pytest.fixture
    def model(self: RuntimeContract, made: Path) -> Path:
        return ready_model(name, kind, made)

    more: dict[str, object] = {}
    if kind in (ModelFormat.ONNX, ModelFormat.ORT, ModelFormat.OPENVINO_IR, ModelFormat.MNN, ModelFormat.NCNN):
        more = {"reference": of_onnx_net, "psnr_db": 40.0 if name == "openvino" else 60.0}  # it may compute in bfloat16
    if kind == ModelFormat.EXECUTORCH:
        more |= {"reference": of_torch_net}
    if kind == ModelFormat.NCNN:
        more |= {"reference": of_net_without_batch}
    if kind in (ModelFormat.ONNX, ModelFormat.MNN):
        more |= {"open_model": open_net(kind), "open_shapes": ({"x": (1, 3, 16, 16)}, {"x": (5, 3, 16, 16)})}
    if kind == ModelFormat.TFLITE:  # trained on such values: it tells the usual ones not apart
        more = {"wishes": InputWishes(ranges={"input_1": (-100.0, 100.0)})}
    names = {"runtime": name, "format": kind, "model": model, "__module__": __name__}
    return type(f"Test_{name}_{kind}", (RuntimeContract,), {**names, **more})


def of_onnx_net(self: RuntimeContract, model: Path, arrays: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The outputs of the net that several formats carry, by ONNX's own evaluator."""
    onnx = pytest.importorskip("onnx.reference")
    with tempfile.TemporaryDirectory() as folder:
        evaluator = onnx.ReferenceEvaluator(str(models.onnx_net(Path(folder) / "net.onnx")))
    return dict(zip(evaluator.output_names, evaluator.run(None, dict(arrays)), strict=True))


def of_torch_net(self: RuntimeContract, model: Path, arrays: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The outputs by PyTorch itself."""
    import torch

    with torch.no_grad():
        return {"output_0": models.torch_net()(torch.from_numpy(arrays["input_0"])).numpy()}


def of_net_without_batch(self: RuntimeContract, model: Path, arrays: Mapping[str, Any]) -> Mapping[str, Any] | None:
    """The same for ncnn, whose tensors have no batch."""
    found = of_onnx_net(self, model, {name: array[None] for name, array in arrays.items()})
    return found and {name: array[0] for name, array in found.items()}


def open_net(kind: ModelFormat) -> Any:
    """A fixture that makes the same net with a batch of any size; MNN takes others than the file says."""

    @pytest.fixture
    def open_model(self: RuntimeContract, tmp_path: Path, made: Path) -> Path:
        return (
            models.onnx_net(tmp_path / "open.onnx", batch="n") if kind == ModelFormat.ONNX else make_model(kind, made)
        )

    return open_model


for _name in plugins.names("dynolab.runtimes"):
    for _kind in runtime_named(_name).formats:
        _suite = suite(_name, _kind)
        globals()[_suite.__name__] = _suite


@pytest.mark.parametrize("sandbox", ["namespaces", "landlock"])
@pytest.mark.parametrize(
    ("name", "kind"),
    [
        # A runtime's library needs the same for its other formats. Torch compiles for half a minute.
        pytest.param(name, kind, marks=[pytest.mark.slow] if number > 0 or name == "torch" else [])
        for name in plugins.names("dynolab.runtimes")
        for number, kind in enumerate(runtime_named(name).formats)
    ],
)
def test_weaker_sandboxes_show_what_a_runtime_needs(name: str, kind: ModelFormat, sandbox: str, made: Path) -> None:
    """The contract itself runs in the strongest one."""
    if sandboxes.problem(sandbox) is not None:
        pytest.skip(f"{sandbox} does not work here: {sandboxes.problem(sandbox)}")
    means = next(means for means in sandboxes.all_by_strength() if means.name == sandbox)
    model = ready_model(name, kind, made)
    with tempfile.TemporaryDirectory(
        prefix="dynolab-test-"
    ) as folder:  # g++ asks whether it may write: pytest's are closed
        harness = Harness(Path(folder) / "harness", model, kind, name, sandbox=means)
        harness.inspect()
        if harness.inspection is not None and harness.inspection.compiles:
            harness.good(RunKind.COMPILE)
        harness.good(RunKind.FIRST_LOAD)


def test_every_runtime_is_covered() -> None:
    found = {name for name in globals() if name.startswith("Test_")}
    assert {name.split("_")[1] for name in found} == set(plugins.names("dynolab.runtimes"))
