"""Values on their way between two models: other layouts and types, and integers that stand for real numbers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from pathlib import Path

import numpy as np

from dynolab.runtimes._elements import element_type, limits
from dynolab.spec.matching import Layout
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import Quantization, TensorSpec
from dynolab.toolchains import _tflite_model as tflite_model
from dynolab.toolchains.base import Array

_INTEGERS = ("int8", "uint8", "int16", "uint16")
"""What inputs and outputs of quantised models are of."""


@dataclass(frozen=True, slots=True)
class Scales:
    """How a model's inputs and outputs stand in integers, by name; empty: they are taken as they are."""

    known: Mapping[str, Quantization] = field(default_factory=dict)

    def __bool__(self) -> bool:
        return bool(self.known)

    def __str__(self) -> str:
        return ", ".join(
            f"{one.name}: scale {one.scale:.4g}, zero point {one.zero_point}" for one in self.known.values()
        )

    def specs(self, given: Sequence[TensorSpec]) -> tuple[TensorSpec, ...]:
        """The tensors as they are spoken of: real numbers where integers stand for such."""
        return tuple(replace(one, dtype="float32") if one.name in self.known else one for one in given)

    def quantized(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """The integers for real numbers, those that are too large or too small cut off."""
        return {
            name: self._integers(array, self.known[name]) if name in self.known else array
            for name, array in values.items()
        }

    def _integers(self, array: Array, told: Quantization) -> Array:
        low, high = limits(told.dtype) or (0.0, 0.0)
        steps = np.rint(array / told.scale) + told.zero_point
        made: Array = np.clip(steps, low, high).astype(told.dtype)
        return made

    def real(self, values: Mapping[str, Array]) -> dict[str, Array]:
        """The real numbers for integers."""
        return {name: self._real(array, self.known.get(name)) for name, array in values.items()}

    def _real(self, array: Array, told: Quantization | None) -> Array:
        if told is None:
            return array
        made: Array = ((array.astype(np.float64) - told.zero_point) * told.scale).astype(np.float32)
        return made


def of(path: Path, kind: ModelFormat) -> Scales:
    """What the file tells of its inputs and outputs: TFLite alone does."""
    if kind != ModelFormat.TFLITE:
        return Scales()
    found = tflite_model.quantizations(path)
    return Scales({one.name: one for one in found if one.dtype in _INTEGERS})


def takes_integers(*tensors: Sequence[TensorSpec]) -> bool:
    """Whether all that goes in and out is such as quantised models have."""
    return all(one.dtype in _INTEGERS for every in tensors for one in every)


def takes_real(*tensors: Sequence[TensorSpec]) -> bool:
    """Whether anything that goes in or out is a floating-point number."""
    return any("float" in one.dtype for every in tensors for one in every)


def fed(array: Array, layout: Layout, wanted: Sequence[int] | None, dtype: str) -> Array:
    """A's input as B takes it: its layout, its shape if that is known, its type."""
    moved = array
    if layout is Layout.CHANNELS_LAST:
        moved = np.moveaxis(array, 1, -1)
    elif layout is Layout.CHANNELS_FIRST:
        moved = np.moveaxis(array, -1, 1)
    elif layout is Layout.ONES and wanted is not None and prod(wanted) == array.size:
        moved = array.reshape(wanted)
    made: Array = np.require(moved.astype(element_type(dtype), copy=False), requirements="C")
    return made


def laid_out(array: Array, layout: Layout, wanted: Sequence[int]) -> Array:
    """B's output as A has it."""
    if layout is Layout.CHANNELS_LAST:
        return np.moveaxis(array, -1, 1)
    if layout is Layout.CHANNELS_FIRST:
        return np.moveaxis(array, 1, -1)
    return array.reshape(wanted) if layout is Layout.ONES and prod(wanted) == array.size else array
