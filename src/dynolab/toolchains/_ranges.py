"""Between which values an ONNX model's activations lie, over calibration samples: all of them, or those that lose least."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import ModelNotSupported
from dynolab.runtimes.onnxruntime.session import library_errors
from dynolab.toolchains.base import Array

Ranges = Mapping[str, tuple[np.float32, np.float32]]
"""Least and greatest value by the tensor's name: float32 scalars."""
BINS = 2048
"""Of a histogram: eight to each level of 8 bits."""
LEAST_WIDTH = 1e-30
"""Of a range that is one value, so that nothing is divided by zero."""
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


def narrowed(counts: Array, low: np.float32, high: np.float32, levels: int) -> tuple[np.float32, np.float32]:
    """The part of a range, zero inside, whose steps give the least squared error for values spread as the histogram says."""
    if not high > low or not counts.any():
        return low, high
    middles = float(low) + (np.arange(BINS) + 0.5) * (float(high) - float(low)) / BINS
    bottoms = SHARES * float(low) if low < 0 else np.zeros(1)
    tops = (SHARES * float(high) if high > 0 else np.zeros(1))[:, np.newaxis]
    best, ends = np.inf, (float(low), float(high))
    for bottom in bottoms:
        step = (tops - bottom) / levels  # a row for each top, a column for each bin
        steps = np.clip(np.rint(middles / step), np.rint(bottom / step), np.rint(tops / step))
        errors = (middles - steps * step) ** 2 @ counts
        if errors.min() < best:
            best, ends = float(errors.min()), (float(bottom), float(tops[errors.argmin(), 0]))
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
    found: dict[str, tuple[np.float32, np.float32]] = {}
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
    wide = {name: max(float(high) - float(low), LEAST_WIDTH) for name, (low, high) in whole.items()}
    for sample in samples:
        for name, value in zip(names, _run(session, names, sample), strict=True):
            with np.errstate(over="ignore", invalid="ignore"):  # masks of -3e38, and what is no number, go to the ends
                places = (value.reshape(-1) - whole[name][0]) * np.float32(BINS / wide[name])
                bins = np.clip(places.astype(np.int32), 0, BINS)
            found = np.bincount(bins, minlength=BINS + 1)
            counts[name] += found[:BINS]
            counts[name][-1] += found[BINS]  # the greatest value itself
    return counts


def _calibrator(model: Path, place: Path, method: Any) -> Any:
    """ONNX Runtime's own: it finds the tensors, and gives them out beside the outputs."""
    from onnxruntime.quantization.calibrate import create_calibrator
    from onnxruntime.quantization.registry import QDQRegistry, QLinearOpsRegistry

    errors: tuple[type[Exception], ...] = (*library_errors(), ValueError, KeyError)
    try:
        return create_calibrator(model, sorted({*QLinearOpsRegistry, *QDQRegistry}), str(place), method)
    except errors as error:
        raise ModelNotSupported(f"ONNX Runtime does not calibrate the model: {str(error)[:400]}") from error


def _run(session: Any, names: Sequence[str], sample: Mapping[str, Array]) -> list[Array]:
    try:
        return list(session.run(list(names), dict(sample))) if names else []
    except library_errors() as error:
        raise ModelNotSupported(
            f"the model does not run on the calibration data: {str(error).strip().splitlines()[0][:400]}",
            hint="give data as the model's inputs take it",
        ) from error
