"""Inputs of a measurement: seeded random arrays of the right type and a range that the model accepts."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError
from typing import Any

from dynolab.errors import SpecInvalid
from dynolab.measure.protocol import InputPlan, InputWishes
from dynolab.runtimes._elements import EXTRA, TEXT, element_name, element_type, limits
from dynolab.runtimes._numpy import Array, np
from dynolab.spec.show import show_bytes
from dynolab.spec.tensors import TensorSpec, bind


@dataclass(frozen=True, slots=True)
class Candidate:
    """One way to feed a model: the range of its 32- and 64-bit integers, and the length of open sequences."""

    integers: tuple[int, int]
    sequence: int


CANDIDATES: tuple[Candidate, ...] = (
    Candidate((0, 1), 128),  # 0 and 1 are valid as token, index, mask and class almost everywhere
    Candidate((1, 1), 128),  # lengths must not be 0
    Candidate((0, 0), 128),
    Candidate((0, 1), 1),
    Candidate((0, 1), 224),
    Candidate((0, 1), 512),
    Candidate((16000, 16000), 512),  # a sampling rate beside a frame of sound
    Candidate((8000, 8000), 256),
    Candidate((1, 1), 1),
    Candidate((0, 1), 16),
)
"""Tried in this order until one inference succeeds; the outcome is printed and stored."""


def wished_shapes(wishes: InputWishes) -> dict[str, tuple[int, ...]]:
    """The shapes that the user gave, by words or by files."""
    return {**{name: load_file(Path(file)).shape for name, file in wishes.files.items()}, **wishes.shapes}


def plan(
    declared: Sequence[TensorSpec], wishes: InputWishes, candidate: Candidate
) -> tuple[tuple[InputPlan, ...], list[str]]:
    """How each input is made under one candidate, and a sentence for each thing that was chosen by default.

    Raises :class:`SpecInvalid` for a name, shape, range or file that does not fit.
    """
    known = {spec.name: spec for spec in declared}
    shapes = dict(wishes.shapes)
    for name, file in wishes.files.items():
        _check_name(name, known)
        shapes[name] = _check_file(known[name], Path(file), shapes.get(name))
    for name in wishes.ranges:
        _check_name(name, known)
    bound, notes = bind(declared, shapes, sequence=candidate.sequence)
    _check_room(bound)
    plans = []
    for spec in bound:
        low, high = wishes.ranges.get(spec.name) or default_range(spec, candidate)
        _check_range(spec, low, high)
        plans.append(InputPlan(spec, low, high, wishes.files.get(spec.name)))
    return tuple(plans), notes


def _check_name(name: str, known: Mapping[str, TensorSpec]) -> None:
    if name not in known:
        raise SpecInvalid(
            f"the model has no input named {name!r}", hint=f"its inputs are: {', '.join(known) or 'none'}"
        )


def _check_range(spec: TensorSpec, low: float, high: float) -> None:
    """Raise :class:`SpecInvalid` for a range that the input's type has no value in, or no room for."""
    bounds = limits(spec.dtype)
    if bounds is None:
        return
    least, most = bounds
    fits = low <= most and high >= least and int(max(high, least)) >= low
    if "int" not in spec.dtype:
        fits = least <= low <= high <= most
    if not fits:
        raise SpecInvalid(
            f"--input-range {spec.name}={low:g},{high:g}: input {spec.name!r} is {spec.dtype}, from {least:g} to {most:g}"
        )


def _check_room(bound: Sequence[TensorSpec]) -> None:
    """Raise :class:`SpecInvalid` for inputs that this machine's memory cannot hold."""
    memory_bytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    sizes = {spec: spec.bytes or 0 for spec in bound}
    largest = max(sizes, key=sizes.__getitem__, default=None)
    if largest is not None and sum(sizes.values()) > memory_bytes:
        raise SpecInvalid(
            f"input {largest.name!r} of shape {largest.shape_text} takes {show_bytes(sizes[largest])}, "
            f"and this machine has {show_bytes(memory_bytes)} of memory",
            hint=f"a smaller --input-shape {largest.name}=...",
        )


def _check_file(spec: TensorSpec, path: Path, asked: tuple[int, ...] | None) -> tuple[int, ...]:
    array = conform(load_file(path), spec)
    if asked is not None and asked != array.shape:
        raise SpecInvalid(f"--input-shape says {list(asked)} for {spec.name!r}, {path.name} holds {list(array.shape)}")
    return array.shape


def conform(array: Array, spec: TensorSpec) -> Array:
    """The values as the input's element type. Raises :class:`SpecInvalid` for values of another type.

    Types that files of numpy do not have come from wider ones, rounded, or as numpy keeps the arrays of ``ml_dtypes``:
    bytes without a type.
    """
    held = element_name(array)
    if held == spec.dtype:
        return array
    if spec.dtype in EXTRA:
        wanted = element_type(spec.dtype)
        if array.dtype.kind == "V" and array.dtype.itemsize == wanted.itemsize:
            return array.view(wanted)
        if array.dtype.kind in ("iu" if "int" in spec.dtype else "iuf"):
            return _narrowed(array, spec, wanted)
    narrow = ("uint8" if "uint" in spec.dtype else "int8") if "int" in spec.dtype else "float32"
    way = narrow if spec.dtype in EXTRA else _WAYS_OUT.get(spec.dtype, spec.dtype)
    raise SpecInvalid(
        f"the values for input {spec.name!r} are {held}, it is {spec.dtype}", hint=f"give it values.astype('{way}')"
    )


def _narrowed(array: Array, spec: TensorSpec, wanted: np.dtype[Any]) -> Array:
    """The values in a type that numpy lacks. Raises :class:`SpecInvalid` for those that it has not."""
    low, high = limits(spec.dtype) or (0.0, 0.0)
    finite = array[np.isfinite(array)]
    if finite.size and not (low <= finite.min() and finite.max() <= high):
        raise SpecInvalid(
            f"the values for input {spec.name!r} go from {finite.min():g} to {finite.max():g}, "
            f"{spec.dtype} from {low:g} to {high:g}"
        )
    made = array.astype(wanted)
    back = made.astype(np.float64)
    for name, found in (("nan", np.isnan), ("inf", np.isinf)):
        if not np.array_equal(found(array), found(back)):
            raise SpecInvalid(f"some values for input {spec.name!r} are {name}, and {spec.dtype} has none")
    return made


def load_file(path: Path) -> Array:
    """The array of a .npy file; pickled objects are refused. Raises :class:`SpecInvalid`."""
    check_npy(path)
    try:
        array: Array = np.load(path, allow_pickle=False)
    except _NO_ARRAY as error:
        why = "it holds Python objects" if "pickle" in str(error) or "object" in str(error).lower() else error
        raise SpecInvalid(f"{path.name} cannot be read as .npy: {why}", hint=_WAY_OUT) from error
    return array


def check_npy(path: Path) -> None:
    """Raise :class:`SpecInvalid` for a file that does not begin like a .npy file; what follows is read in the worker."""
    try:
        with path.open("rb") as file:
            head = file.read(len(_NPY))
    except OSError as error:
        raise SpecInvalid(f"{path} cannot be read as .npy: {error.strerror}", hint=_WAY_OUT) from error
    if head.startswith(b"PK"):
        raise SpecInvalid(f"{path} is an archive of several arrays", hint="give one .npy file for each input")
    if head != _NPY:
        raise SpecInvalid(f"{path} is no .npy file", hint=_WAY_OUT)


_NO_ARRAY = (
    OSError,
    ValueError,
    TypeError,
    OverflowError,
    SyntaxError,
    EOFError,
    MemoryError,
    RecursionError,
    TokenError,
)
"""What numpy raises for a head or a content that makes no sense: the head is a Python literal, read by Python's own parser."""
_WAY_OUT = "write it with numpy.save, one array to a file, of numbers or of text: numpy.array(values, dtype=str)"
_WAYS_OUT = {TEXT: "str"}
_NPY = b"\x93NUMPY"
"""What a .npy file begins with (numpy.lib.format)."""


def default_range(spec: TensorSpec, candidate: Candidate) -> tuple[float, float]:
    """Low and high of a random input by its type: [0, 1) for floats, all values of up to 8 bits, the candidate's else."""
    bounds = limits(spec.dtype)
    if bounds is not None and "int" in spec.dtype:
        return bounds if bounds[1] <= 255 else (float(candidate.integers[0]), float(candidate.integers[1]))
    return (max(0.0, bounds[0]) if bounds else 0.0), 1.0  # float8_e8m0 has no zero


def make(plans: Sequence[InputPlan], seed: int) -> dict[str, Array]:
    """The arrays, C-contiguous, by input name; the same seed makes the same values.

    Raises :class:`ModelNotSupported` for an element type that there are no arrays of.
    """
    return {item.spec.name: _one(item, np.random.default_rng([seed, index])) for index, item in enumerate(plans)}


WORDS = (
    "red",
    "green",
    "blue",
    "one",
    "two",
    "three",
    "cat",
    "dog",
    "house",
    "water",
    "new",
    "good",
    "day",
    "time",
    "the",
    "",
)
"""What random text is made of."""


def _one(item: InputPlan, random: np.random.Generator) -> Array:
    if item.file is not None:
        return np.require(conform(load_file(Path(item.file)), item.spec), requirements="C")
    sizes, name = item.spec.sizes, item.spec.dtype
    if name == TEXT:
        return np.array(WORDS)[random.integers(0, len(WORDS), sizes)]
    if name == "bool":
        return random.integers(0, 2, sizes).astype(np.bool_)
    kind, bounds = element_type(name), limits(name)
    if bounds is not None and "int" in name:
        wide = np.dtype("int8") if name in EXTRA else kind
        low, high = max(int(item.low), int(bounds[0])), min(int(item.high), _greatest(kind, bounds))
        return random.integers(low, high, sizes, dtype=wide, endpoint=True).astype(kind, copy=False)
    if kind.kind == "c":
        return (random.uniform(item.low, item.high, sizes) + 1j * random.uniform(item.low, item.high, sizes)).astype(
            kind
        )
    return np.asarray(random.uniform(item.low, item.high, sizes)).astype(kind)


def _greatest(kind: np.dtype[Any], bounds: tuple[float, float]) -> int:
    """An integer type's greatest value: a float is too coarse for those of 64 bits."""
    return int(np.iinfo(kind).max) if kind.kind in "iu" else int(bounds[1])


def candidates(start: int) -> Iterator[tuple[int, Candidate]]:
    """The candidates from the one numbered ``start``."""
    yield from list(enumerate(CANDIDATES))[start:]
