"""Two models' outputs for the same inputs, side by side."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from math import log10
from typing import Any

import numpy as np

from dynolab.runtimes._elements import element_type
from dynolab.spec.compiles import OutputCheck
from dynolab.spec.quantizes import Accuracy
from dynolab.spec.tensors import TensorSpec
from dynolab.toolchains.base import Array


def seeded(specs: Sequence[TensorSpec], seed: int, quantized: Collection[str] = ()) -> dict[str, Array]:
    """One array for each input: uniform in [0, 1) for floating-point ones, 0 or 1 for integers, which are valid almost everywhere.

    A dimension that is still open is 1. Inputs named in ``quantized`` hold integers for real numbers: all that there are.
    """
    random = np.random.default_rng(seed)
    made = {}
    for spec in specs:
        sizes = tuple(size if isinstance(size, int) else 1 for size in spec.shape)
        wanted = element_type(spec.dtype)
        integers = spec.dtype == "bool" or "int" in spec.dtype
        values: Any = random.integers(0, 2, sizes) if integers else random.random(sizes)
        if spec.name in quantized and integers:
            values = random.integers(np.iinfo(wanted).min, np.iinfo(wanted).max, sizes, endpoint=True)
        made[spec.name] = np.asarray(values).astype(wanted)
    return made


def compare(names: Sequence[str], before: Sequence[Array], after: Sequence[Array]) -> tuple[OutputCheck, ...]:
    """One output after the other."""
    running = Comparison(names)
    running.add(before, after)
    return running.checks()


class Comparison:
    """Two models' outputs side by side over any number of inputs, none of which is kept."""

    def __init__(self, names: Sequence[str]) -> None:
        self._outputs = [_Output(name) for name in names]

    def add(self, before: Sequence[Array], after: Sequence[Array]) -> None:
        """Both models' outputs, in order, for the same inputs."""
        for output, a, b in zip(self._outputs, before, after, strict=True):
            output.add(a, b)

    def checks(self) -> tuple[OutputCheck, ...]:
        """What came of all of them, one output after the other."""
        return tuple(output.check() for output in self._outputs)


class Agreement:
    """Of a classifier, which has one output [N, classes]: for how many of the N two models rank the same class first."""

    def __init__(self) -> None:
        self.answers = self.agreeing = 0

    def add(self, before: Sequence[Array], after: Sequence[Array]) -> None:
        """Both models' outputs, in order, for the same inputs."""
        ranked, other = _first_ranked(before), _first_ranked(after)
        self.answers += 0 if ranked is None else len(ranked)
        if ranked is not None and other is not None and ranked.shape == other.shape:
            self.agreeing += int((ranked == other).sum())


def _first_ranked(outputs: Sequence[Array]) -> Array | None:
    """The class that stands first in each row of the one output [N, classes]; None of any other model's outputs."""
    if len(outputs) != 1 or outputs[0].ndim != 2 or outputs[0].shape[1] < 2 or outputs[0].dtype.kind not in "fiu":
        return None
    first: Array = np.argmax(outputs[0], axis=1)
    return first


def accuracy(running: Comparison, ranks: Agreement) -> Accuracy:
    """What came of both."""
    return Accuracy(running.checks(), ranks.answers or None, ranks.agreeing if ranks.answers else None)


class _Output:
    """Sums over one output's values."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.reason: str | None = None
        self.values = 0
        self.error = self.squared = self.peak = 0.0
        self.equal = True

    def add(self, before: Array, after: Array) -> None:
        if self.reason is None:
            self.reason = self._add(before, after)

    def _add(self, before: Array, after: Array) -> str | None:
        """The reason why the two cannot be compared, or None."""
        if before.shape != after.shape:
            return f"the source's shape is {list(before.shape)}, this {list(after.shape)}"
        if before.dtype.kind not in "biufV" or after.dtype.kind not in "biufV":
            return "it holds no numbers"
        a, b = before.astype(np.float64), after.astype(np.float64)
        same = (a == b) | (np.isnan(a) & np.isnan(b))
        if not same.all() and not (np.isfinite(a).all() and np.isfinite(b).all()):
            return "it holds infinities or no numbers where the other has others"
        a, b = np.where(np.isfinite(a), a, 0.0), np.where(np.isfinite(b), b, 0.0)
        error = np.abs(a - b)
        self.equal = self.equal and bool(same.all())
        self.values += a.size
        self.error = max(self.error, float(error.max(initial=0.0)))
        self.squared += float(np.sum(error**2))
        self.peak = max(self.peak, float(np.abs(a).max(initial=0.0)))
        return None

    def check(self) -> OutputCheck:
        if self.reason is not None:
            return OutputCheck(self.name, None, None, self.reason)
        if self.equal:
            return OutputCheck(self.name, 0.0, None)
        return OutputCheck(self.name, self.error, _psnr_db(self.peak, self.squared / self.values))


def _psnr_db(peak: float, squared: float) -> float:
    """20 log10(peak / root of the mean squared error), as in ITU-R's and the image field's use; of zeros -inf is 0."""
    return 20 * log10(peak / squared**0.5) if peak and squared else 0.0
