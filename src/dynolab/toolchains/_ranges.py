"""Between which values an ONNX model's activations lie, over calibration samples: all of them, or those that lose least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import ModelNotSupported
from dynolab.runtimes.onnxruntime.session import library_errors
from dynolab.toolchains.base import Array

Ranges = Mapping[str, tuple[Array, Array]]
"""Least and greatest value by the tensor's name: float32 scalars."""
BINS = 2048
"""Of a histogram: eight to each level of 8 bits."""
SHARES = np.linspace(1.0, 0.1, 19)
"""Of the whole range, at either end, that are tried."""


def find(model: Path, scratch: Path, samples: Sequence[Mapping[str, Array]], levels: int | None) -> Ranges:
    """The range of each tensor that a quantised operator reads or writes.

    ``levels`` None: from the least value to the greatest. Else how many steps an integer has: the ends are moved inwards as
    far as this lessens the mean squared error of quantising, since a few far values cost all others their resolution.
    """
    whole = _whole(model, scratch, samples)
    if levels is None:
        return whole
    histograms = _histograms(model, scratch, samples, whole)
    return {name: narrowed(histograms[name], *whole[name], levels) for name in whole}


def narrowed(counts: Array, low: Array, high: Array, levels: int) -> tuple[Array, Array]:
    """The part of a range, zero inside, whose steps give the least squared error for values spread as the histogram says."""
    if not high > low or not counts.any():
        return low, high
    middles = float(low) + (np.arange(BINS) + 0.5) * (float(high) - float(low)) / BINS
    best, ends = np.inf, (float(low), float(high))
    for bottom in SHARES * min(float(low), 0.0) if low < 0 else [0.0]:
        for top in SHARES * max(float(high), 0.0) if high > 0 else [0.0]:
            step = (top - bottom) / levels
            steps = np.clip(np.round(middles / step), np.round(bottom / step), np.round(top / step))
            error = float(np.dot(counts, (middles - steps * step) ** 2))
            if error < best:
                best, ends = error, (float(bottom), float(top))
    return np.float32(ends[0]), np.float32(ends[1])


def _whole(model: Path, scratch: Path, samples: Sequence[Mapping[str, Array]]) -> Ranges:
    from onnxruntime.quantization import CalibrationMethod

    calibrator = _calibrator(model, scratch / "least-and-greatest.onnx", CalibrationMethod.MinMax)
    session = calibrator.infer_session
    names = [node.name for node in session.get_outputs()][calibrator.num_model_outputs :]
    ends: dict[str, Array] = {}
    for sample in samples:
        for name, value in zip(names, _run(session, names, sample), strict=True):
            which = np.fmin if name.endswith("_ReduceMin") else np.fmax
            ends[name] = which(ends[name], value) if name in ends else value
    found = {}
    for name in {name.rpartition("_")[0] for name in names}:
        low, high = (np.float32(ends[f"{name}_{end}"].reshape(-1)[0]) for end in ("ReduceMin", "ReduceMax"))
        if not (np.isfinite(low) and np.isfinite(high)):
            raise ModelNotSupported(
                f"the tensor {name!r} of the model is infinite or no number for this data: it has no range",
                hint="look for a division by zero, or data that the model is not made for",
            )
        found[name] = (low, high)
    return found


def _histograms(model: Path, scratch: Path, samples: Sequence[Mapping[str, Array]], whole: Ranges) -> dict[str, Array]:
    from onnxruntime.quantization import CalibrationMethod

    session = _calibrator(model, scratch / "all-tensors.onnx", CalibrationMethod.Percentile).infer_session
    counts: dict[str, Array] = {name: np.zeros(BINS) for name in whole}
    names = [node.name for node in session.get_outputs() if node.name in counts]
    wide = {name: max(float(high) - float(low), np.finfo(np.float32).tiny) for name, (low, high) in whole.items()}
    for sample in samples:
        for name, value in zip(names, _run(session, names, sample), strict=True):
            places = (value.reshape(-1) - float(whole[name][0])) * (BINS / wide[name])
            bins = np.clip(np.nan_to_num(places), 0, BINS - 1).astype(np.int64)
            counts[name] += np.bincount(bins, minlength=BINS)
    return counts


def _calibrator(model: Path, place: Path, method: Any) -> Any:
    """ONNX Runtime's own: it finds the tensors, and gives them out beside the outputs."""
    from onnxruntime.quantization.calibrate import create_calibrator
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    try:
        return create_calibrator(model, sorted({*QLinearOpsRegistry, *QDQRegistry}), str(place), method)
    except (*library_errors(), ValueError, KeyError) as error:
        raise ModelNotSupported(f"ONNX Runtime does not calibrate the model: {str(error)[:400]}") from error


def _run(session: Any, names: Sequence[str], sample: Mapping[str, Array]) -> list[Array]:
    try:
        return list(session.run(list(names), dict(sample))) if names else []
    except library_errors() as error:
        raise ModelNotSupported(
            f"the model does not run on the calibration data: {str(error).strip().splitlines()[0][:400]}",
            hint="give data as the model's inputs take it",
        ) from error
