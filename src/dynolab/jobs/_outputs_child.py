"""The process that reads the datasets of two inference jobs, confined, and holds them against each other.

Started by ``_outputs``; ``order.json`` in its folder says which.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from dynolab.errors import SpecInvalid
from dynolab.jobs import _toolchain_child as shared
from dynolab.jobs._datasets import h5_child
from dynolab.runtimes._elements import element_name
from dynolab.spec import matching
from dynolab.spec.compared_outputs import COMPARED_OUTPUTS_SCHEMA, EDGES, ComparedOutputs, OutputErrors
from dynolab.spec.compiles import OutputCheck
from dynolab.spec.matching import Match
from dynolab.spec.tensors import TensorSpec
from dynolab.spec.verifies import AtLeast
from dynolab.toolchains import _carried as carried
from dynolab.toolchains import _numbers as numbers
from dynolab.toolchains.base import Array

Tensors = Mapping[str, Sequence[Array]]
Pairs = Sequence[tuple[Array, Array]]
"""One output of both, sample by sample."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the process is asked for."""

    a: str
    b: str
    max_bytes: int
    """Of both, unpacked."""
    at_least: AtLeast


def compare(wanted: Wanted) -> ComparedOutputs:
    """What was found. Raises :class:`SpecInvalid` and :class:`~dynolab.errors.TooLarge`."""
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # no filters from shared libraries
    a, b = (h5_child.unpack(Path(one).name, Path(one), wanted.max_bytes // 2) for one in (wanted.a, wanted.b))
    counts = [min(map(len, one.values()), default=0) for one in (a, b)]
    if counts[0] != counts[1] or not counts[0]:
        raise SpecInvalid(
            f"A put out {counts[0]} samples, and B {counts[1]}: they are not of the same inputs",
            hint="compare jobs on one dataset",
        )
    found = matching.match_outputs(_specs(a), _specs(b))
    laid = {pair.a: [_pair(one, other, pair) for one, other in zip(a[pair.a], b[pair.b], strict=True)] for pair in found.pairs}  # fmt: skip
    comparison, ranks = numbers.Comparison(list(laid)), numbers.Agreement()
    for sample in zip(*laid.values(), strict=True):
        before, after = [one for one, _ in sample], [other for _, other in sample]
        comparison.add(before, after)
        ranks.add(before, after)
    accuracy = numbers.accuracy(comparison, ranks)
    return ComparedOutputs(
        schema=COMPARED_OUTPUTS_SCHEMA,
        samples=counts[0],
        outputs=found.pairs,
        shapes={name: str(list(pairs[0][0].shape)) for name, pairs in laid.items()},
        accuracy=accuracy,
        errors={one.name: _errors(one, laid[one.name]) for one in accuracy.outputs if one.max_abs_error is not None},
        at_least=wanted.at_least,
        only_a=found.only_a,
        only_b=found.only_b,
    )


def _specs(tensors: Tensors) -> list[TensorSpec]:
    return [TensorSpec(name, element_name(samples[0]), samples[0].shape) for name, samples in tensors.items()]


def _pair(before: Array, after: Array, pair: Match) -> tuple[Array, Array]:
    return before, carried.laid_out(after, pair.layout, before.shape)


def _errors(check: OutputCheck, pairs: Pairs) -> OutputErrors:
    """How the errors of one output lie, which was compared: none is of infinities."""
    largest = max(float(np.abs(_finite(before)).max(initial=0.0)) for before, _ in pairs)
    edges = np.array(EDGES) * (largest or 1.0)
    counts, values, same = np.zeros(len(EDGES) + 1, np.int64), 0, 0
    worst: tuple[float, int] | None = None
    for number, (before, after) in enumerate(pairs, 1):
        error = np.abs(_finite(before) - _finite(after)).reshape(-1)
        values, same = values + error.size, same + int((error == 0).sum())
        counts += np.bincount(np.searchsorted(edges, error[error > 0]), minlength=len(counts))
        alone = numbers.compare([check.name], [before], [after])[0].psnr_db
        if alone is not None and (worst is None or alone < worst[0]):
            worst = alone, number
    psnr_db, sample = worst or (None, None)
    return OutputErrors(values, largest, same, tuple(map(int, counts)), sample, psnr_db)


def _finite(array: Array) -> Array:
    plain: Array = array.astype(np.float64)
    return np.where(np.isfinite(plain), plain, 0.0)


if __name__ == "__main__":
    sys.exit(shared.main(sys.argv[1:], Wanted, lambda folder, wanted: compare(wanted), SpecInvalid))
