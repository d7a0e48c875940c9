"""Values on their way between two models."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from dynolab.spec.matching import Layout
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import Quantization, TensorSpec
from dynolab.toolchains import _carried as carried

KWS = Path(__file__).parents[3] / "examples" / "models" / "mlperf_tiny_kws_int8.tflite"


@pytest.mark.parametrize("layout", [Layout.SAME, Layout.CHANNELS_LAST, Layout.CHANNELS_FIRST, Layout.ONES])
def test_what_went_to_b_comes_back_as_it_was(layout: Layout) -> None:
    array = np.arange(24, dtype=np.float32).reshape(1, 2, 3, 4)
    went = carried.fed(array, layout, (2, 1, 3, 4), "float64")
    assert went.dtype == np.float64
    assert went.flags.c_contiguous
    shapes = {Layout.SAME: (1, 2, 3, 4), Layout.CHANNELS_LAST: (1, 3, 4, 2), Layout.CHANNELS_FIRST: (1, 4, 2, 3), Layout.ONES: (2, 1, 3, 4)}  # fmt: skip
    assert went.shape == shapes[layout]
    assert np.array_equal(carried.laid_out(went, layout, array.shape), array)


def test_integers_stand_for_real_numbers() -> None:
    scales = carried.Scales({"x": Quantization("x", "int8", 0.5, -10)})
    made = scales.quantized({"x": np.array([0.0, 1.0, 1.3, 900.0, -900.0], np.float32), "y": np.ones(2)})
    assert made["x"].tolist() == [-10, -8, -7, 127, -128]
    assert made["x"].dtype == np.int8
    assert scales.real(made)["x"].tolist() == [0.0, 1.0, 1.5, 68.5, -59.0]
    assert scales.real(made)["y"] is made["y"]
    assert [one.dtype for one in scales.specs([TensorSpec("x", "int8", (5,)), TensorSpec("y", "float64", (2,))])] == ["float32", "float64"]  # fmt: skip


def test_a_file_without_scales_has_none() -> None:
    pytest.importorskip("ai_edge_litert")
    assert not carried.of(KWS, ModelFormat.TFLITE), "it takes floating-point numbers"
    assert not carried.of(KWS, ModelFormat.ONNX)
