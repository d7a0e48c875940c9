"""Real numbers for a model that takes integers, by the scale and zero point that were told when it was compiled."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from dynolab.spec.tensors import Quantization

Array = NDArray[Any]
Tensors = dict[str, list[Array]]


def quantized(tensors: Tensors, quantizations: Sequence[Quantization]) -> tuple[Tensors, tuple[str, ...]]:
    """The tensors, real ones of integer inputs as integers, rounded to the nearest and cut off at the type's ends; and whose they are."""
    known = {one.name: one for one in quantizations}
    changed = tuple(name for name, values in tensors.items() if name in known and _are_real(values))
    return {
        name: [_to_integers(one, known[name]) for one in values] if name in changed else values
        for name, values in tensors.items()
    }, changed


def real(outputs: Tensors, quantizations: Sequence[Quantization]) -> Tensors:
    """The outputs, integers of which scale and zero point are known as float32."""
    known: Mapping[str, Quantization] = {one.name: one for one in quantizations}
    return {
        name: [_to_real(one, known[name]) for one in values] if name in known else values
        for name, values in outputs.items()
    }


def _are_real(values: Sequence[Array]) -> bool:
    return all(one.dtype.kind == "f" for one in values)


def _to_integers(values: Array, one: Quantization) -> Array:
    ends = np.iinfo(one.dtype)
    wanted: Array = np.clip(np.rint(values / one.scale) + one.zero_point, ends.min, ends.max)
    return wanted.astype(one.dtype)


def _to_real(values: Array, one: Quantization) -> Array:
    wanted: Array = (values.astype(np.float32) - one.zero_point) * np.float32(one.scale)
    return wanted.astype(np.float32)
