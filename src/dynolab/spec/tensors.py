"""Tensor descriptions: names, element types, shapes with bound and unbound dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from math import ceil, prod

from dynolab.errors import SpecInvalid

Dimension = int | str | None
"""A size, the name of an unbound dimension, or None for an unbound one without a name."""

ELEMENT_BYTES: Mapping[str, float] = {
    "bool": 1, "int8": 1, "uint8": 1, "int16": 2, "uint16": 2, "int32": 4, "uint32": 4, "int64": 8, "uint64": 8,
    "float16": 2, "bfloat16": 2, "float32": 4, "float64": 8, "complex64": 8, "complex128": 16, "int4": 0.5, "uint4": 0.5,
    "int2": 0.25, "uint2": 0.25, "float4_e2m1fn": 0.5, "float8_e3m4": 1, "float8_e4m3": 1, "float8_e4m3fn": 1,
    "float8_e4m3fnuz": 1, "float8_e5m2": 1, "float8_e5m2fnuz": 1, "float8_e8m0fnu": 1,
}  # fmt: skip
"""Bytes of one element, by numpy's name of the type (those that numpy lacks by their names in ``ml_dtypes``)."""

DEFAULT_BATCH = 1
DEFAULT_IMAGE_SIDE = 224  # what most published image classifiers are trained at
DEFAULT_SEQUENCE = 128
_CHANNELS = (1, 3, 4)
_TOTALS = {"total_sequence_length": "past_sequence_length + sequence_length"}
"""As decoders with a cache are exported (Optimum, ONNX Runtime GenAI): a mask is as long as the past and what is new."""
_SEQUENCE_WORDS = ("seq", "len", "token", "time", "frame", "sample")


@dataclass(frozen=True, slots=True)
class TensorSpec:
    """One input or output: numpy's name of the element type, and a shape whose unbound dimensions are str or None."""

    name: str
    dtype: str
    shape: tuple[Dimension, ...]

    @property
    def bound(self) -> bool:
        """Whether every dimension is a number."""
        return all(isinstance(size, int) for size in self.shape)

    @property
    def sizes(self) -> tuple[int, ...]:
        """The shape of a bound tensor; raises :class:`SpecInvalid` when a dimension is open."""
        if not self.bound:
            raise SpecInvalid(f"tensor {self.name!r} has an unbound dimension: {self.shape_text}")
        return tuple(size for size in self.shape if isinstance(size, int))

    @property
    def bytes(self) -> int | None:
        """Bytes of the whole tensor, or None when its type's size is not known or a dimension is open.

        4-bit elements are packed two to a byte; an odd one takes a whole byte.
        """
        width = ELEMENT_BYTES.get(self.dtype)
        return ceil(prod(self.sizes) * width) if width is not None and self.bound else None

    @property
    def shape_text(self) -> str:
        """The shape as people write it: ``[1, 3, height, ?]``."""
        return "[" + ", ".join("?" if size is None else str(size) for size in self.shape) + "]"


def bind(
    declared: Sequence[TensorSpec], asked: Mapping[str, tuple[int, ...]], *, sequence: int = DEFAULT_SEQUENCE
) -> tuple[list[TensorSpec], list[str]]:
    """The same tensors with every dimension bound, and a sentence for each dimension that was chosen by default.

    ``asked`` maps input names to whole shapes; a named dimension that is bound once holds for every tensor that uses
    the name. ``sequence`` is the length taken where a dimension looks like one. Raises :class:`SpecInvalid` for a name
    or shape that does not fit the model.
    """
    known = {tensor.name: tensor for tensor in declared}
    for name in asked:
        if name not in known:
            raise SpecInvalid(
                f"the model has no input named {name!r}", hint=f"its inputs are: {', '.join(known) or 'none'}"
            )
    named: dict[str, int] = {}
    for name, shape in asked.items():
        _check_fits(known[name], shape)
        for size, given in zip(known[name].shape, shape, strict=True):
            if isinstance(size, str) and size and named.setdefault(size, given) != given:
                raise SpecInvalid(f"dimension {size!r} is given both {named[size]} and {given}")
    sized: dict[str, tuple[int, ...]] = dict(asked)
    notes = []
    for tensor in sorted(declared, key=lambda one: any(_terms(size) for size in one.shape)):  # sums come last
        if tensor.name in asked:
            continue
        sizes: list[int] = []
        for axis, size in enumerate(tensor.shape):
            value = size if isinstance(size, int) else named.get(size or "")
            if value is None:
                value, why = _sum(size, named) or _default(tensor, axis, sequence)
                if isinstance(size, str) and size:
                    named[size] = value
                notes.append(f"{tensor.name}: dimension {axis} ({size or '?'}) is unbound, {value} was taken ({why})")
            sizes.append(value)
        sized[tensor.name] = tuple(sizes)
    return [replace(tensor, shape=tuple(sized[tensor.name])) for tensor in declared], notes


def _terms(size: Dimension) -> list[str]:
    """The names of which a dimension is the sum by its own name; empty for any other."""
    if not isinstance(size, str):
        return []
    parts = [part.strip() for part in _TOTALS.get(size, size).split("+")]
    return parts if len(parts) > 1 and all(parts) else []


def _sum(size: Dimension, named: Mapping[str, int]) -> tuple[int, str] | None:
    values = [int(part) if part.isdigit() else named.get(part, -1) for part in _terms(size)]
    return (sum(values), "the sum of other dimensions") if values and min(values) >= 0 else None


def _check_fits(tensor: TensorSpec, shape: tuple[int, ...]) -> None:
    fits = len(shape) == len(tensor.shape) and all(
        not isinstance(size, int) or size == given for size, given in zip(tensor.shape, shape, strict=False)
    )
    if not fits or any(size < 0 for size in shape):
        raise SpecInvalid(
            f"shape {list(shape)} does not fit input {tensor.name!r}, which is {tensor.shape_text}",
            hint=f"--input-shape {tensor.name}={','.join(str(s) if isinstance(s, int) else 'N' for s in tensor.shape)}",
        )


def _default(tensor: TensorSpec, axis: int, sequence: int) -> tuple[int, str]:
    """A size for one unbound dimension and the reason for it."""
    shape, word = tensor.shape, str(tensor.shape[axis] or "").lower()
    if "batch" in word:
        return DEFAULT_BATCH, "the batch"
    if any(part in word for part in _SEQUENCE_WORDS):
        return sequence, "a sequence's length"
    if "height" in word or "width" in word:
        return DEFAULT_IMAGE_SIDE, "an image's side"
    if axis == 0:
        return DEFAULT_BATCH, "the batch"
    if len(shape) == 4:
        if shape[1] in _CHANNELS and axis in (2, 3):
            return DEFAULT_IMAGE_SIDE, "an image's side"
        if shape[3] in _CHANNELS and axis in (1, 2):
            return DEFAULT_IMAGE_SIDE, "an image's side"
        if not any(isinstance(size, int) for size in shape):
            return (3, "an image's channels") if axis == 1 else (DEFAULT_IMAGE_SIDE, "an image's side")
    if len(shape) in (2, 3) and axis == len(shape) - 1:
        return sequence, "a sequence's length"
    return 1, "no better guess"


@dataclass(frozen=True, slots=True)
class Quantization:
    """How an input's or output's values stand in integers: value = (integer - zero_point) * scale."""

    name: str
    dtype: str
    scale: float
    zero_point: int
