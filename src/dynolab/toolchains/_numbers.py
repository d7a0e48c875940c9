"""Two models' outputs for the same inputs, side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import log10
from typing import Any

import numpy as np

from dynolab.runtimes._elements import element_type
from dynolab.spec.compiles import OutputCheck
from dynolab.spec.tensors import TensorSpec
from dynolab.toolchains.base import Array


def seeded(specs: Sequence[TensorSpec], seed: int) -> dict[str, Array]:
    """One array for each input: uniform in [0, 1) for floating-point ones, 0 or 1 for integers, which are valid almost everywhere.

    A dimension that is still open is 1.
    """
    random = np.random.default_rng(seed)
    made = {}
    for spec in specs:
        sizes = tuple(size if isinstance(size, int) else 1 for size in spec.shape)
        wanted = element_type(spec.dtype)
        integers = spec.dtype == "bool" or "int" in spec.dtype
        values: Any = random.integers(0, 2, sizes) if integers else random.random(sizes)
        made[spec.name] = np.asarray(values).astype(wanted)
    return made


def compare(names: Sequence[str], before: Sequence[Array], after: Sequence[Array]) -> tuple[OutputCheck, ...]:
    """One output after the other."""
    return tuple(_one(name, a, b) for name, a, b in zip(names, before, after, strict=True))


def _one(name: str, before: Array, after: Array) -> OutputCheck:
    if before.shape != after.shape:
        return OutputCheck(name, None, None, f"the source's shape is {list(before.shape)}, this {list(after.shape)}")
    if before.dtype.kind not in "biufV" or after.dtype.kind not in "biufV":
        return OutputCheck(name, None, None, "it holds no numbers")
    a, b = before.astype(np.float64), after.astype(np.float64)
    same = (a == b) | (np.isnan(a) & np.isnan(b))
    if same.all():
        return OutputCheck(name, 0.0, None)
    if not (np.isfinite(a).all() and np.isfinite(b).all()):
        return OutputCheck(name, None, None, "it holds infinities or no numbers where the other has others")
    error, peak = np.abs(a - b), float(np.abs(a).max())
    return OutputCheck(name, float(error.max()), _psnr_db(peak, float(np.mean(error**2))))


def _psnr_db(peak: float, squared: float) -> float:
    """20 log10(peak / root of the mean squared error), as in ITU-R's and the image field's use; of zeros -inf is 0."""
    return 20 * log10(peak / squared**0.5) if peak and squared else 0.0
