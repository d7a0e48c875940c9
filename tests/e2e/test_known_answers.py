"""Known answers of real runtimes: memory that must be there, because the weights are."""

from __future__ import annotations

from pathlib import Path

import pytest

from dynolab.measure import memory
from dynolab.measure.protocol import RunKind
from dynolab.spec.models import ModelFormat
from dynolab.testing import models
from dynolab.testing.harness import Harness

pytestmark = pytest.mark.skipif(memory.unavailable() is not None, reason=str(memory.unavailable()))

SIZES = [pytest.param(40 << 20, id="40MB"), pytest.param(200 << 20, id="200MB", marks=pytest.mark.slow)]


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("external", [None, "weights.data"])
@pytest.mark.parametrize("compiled", [False, True])
def test_onnxruntime_holds_the_weights(tmp_path: Path, size: int, external: str | None, compiled: bool) -> None:
    """Weights inside the file, beside it, and in the compiled artifact: the lower end is at least their size."""
    pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    model = models.onnx_net(tmp_path / "net.onnx", weight_bytes=size, external=external)
    harness = Harness(tmp_path / "harness", model, ModelFormat.ONNX, "onnxruntime")
    harness.inspect()
    if compiled:
        harness.good(RunKind.COMPILE)
    peak, increase = harness.memory(RunKind.WARM_LOAD)
    assert increase.lower >= size * 0.99
    assert increase.upper <= size * 2.5 + (64 << 20)
    assert peak.upper >= increase.upper
    inference_peak, inference = harness.memory(RunKind.INFERENCE)
    assert inference.lower <= size * 0.1 + (16 << 20), "the weights belong to the load"
    assert inference_peak.upper < size


@pytest.mark.parametrize("size", SIZES)
def test_openvino_holds_the_weights(tmp_path: Path, size: int) -> None:
    pytest.importorskip("openvino")
    pytest.importorskip("onnx")
    model = models.onnx_net(tmp_path / "net.onnx", weight_bytes=size)
    harness = Harness(tmp_path / "harness", model, ModelFormat.ONNX, "openvino")
    harness.inspect()
    _, increase = harness.memory(RunKind.FIRST_LOAD)
    assert increase.upper >= size * 0.49, "bf16 halves them at most"
