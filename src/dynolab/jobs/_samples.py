"""Calibration data: which files there are, and the samples that they hold, each an array for every input of a model."""

from __future__ import annotations

import struct
import zipfile
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tokenize import TokenError
from typing import Any

import numpy as np

from dynolab.errors import NotFound, PluginMissing, SpecInvalid
from dynolab.measure import inputs
from dynolab.runtimes.base import Array
from dynolab.spec.tensors import TensorSpec

ENDINGS = (".h5", ".hdf5", ".npz", ".npy")
WAY_OUT = "an .h5 file of AI Hub's form, an .npz file with an array for each input, an .npy file for a model with one input, or a folder of such"
_LOAD_ERRORS = (
    OSError, ValueError, TypeError, EOFError, KeyError, OverflowError, MemoryError, RecursionError, SyntaxError, NotImplementedError,
    zipfile.BadZipFile, zlib.error, struct.error, TokenError,
)  # fmt: skip
"""What numpy and the standard library raise for an archive, or an array's head in it, that makes no sense."""


@dataclass(frozen=True, slots=True)
class DataFile:
    """One file of calibration data."""

    name: str
    """As people know it."""
    path: str | None = None
    """Of an .npz or .npy file, whose arrays' first axis counts samples."""
    batch: Mapping[str, str] = field(default_factory=dict)
    """Of one batch of an .h5 file, which is a whole sample: the .npy file of each input."""


def find(data: Path, folder: Path) -> tuple[DataFile, ...]:
    """The files that calibration data consist of; what .h5 files hold is unpacked into the folder by a confined process.

    Raises :class:`NotFound`, :class:`SpecInvalid` and :class:`PluginMissing`.
    """
    if not data.exists():
        raise NotFound(f"there are no calibration data at {data}", hint=WAY_OUT)
    paths = sorted(path for path in data.iterdir() if path.suffix.lower() in ENDINGS) if data.is_dir() else [data]
    found: list[DataFile] = []
    for path in paths:
        if not path.is_file() or path.suffix.lower() not in ENDINGS:
            raise SpecInvalid(f"{path} is no file of calibration data", hint=WAY_OUT)
        if path.suffix.lower() in (".npz", ".npy"):
            found.append(DataFile(path.name, str(path.resolve())))
        else:
            found.extend(_batches(path, folder, len(found)))
    if not found:
        raise SpecInvalid(f"{data} holds no calibration data", hint=WAY_OUT)
    return tuple(found)


def _batches(path: Path, folder: Path, number: int) -> Iterator[DataFile]:
    try:
        from dynolab.jobs._datasets import h5
    except ModuleNotFoundError as error:
        raise PluginMissing(
            f"datasets need {error.name}, which is not installed", hint="pip install 'dynolab[datasets]'"
        ) from error
    tensors = h5.read(path)
    for batch in range(min(map(len, tensors.values()))):
        files = {name: folder / f"{number}-{batch}-{index}.npy" for index, name in enumerate(tensors)}
        for name, file in files.items():
            np.save(file, tensors[name][batch], allow_pickle=False)
        told = {name: str(file) for name, file in files.items()}
        yield DataFile(f"{path.name}, batch {batch}", None, told)


def load(files: Sequence[DataFile], specs: Sequence[TensorSpec]) -> list[dict[str, Array]]:
    """All samples of the files, in order, as a model with these inputs takes them.

    Raises :class:`SpecInvalid` for a name, a shape, an element type or values that it does not take.
    """
    samples: list[dict[str, Array]] = []
    for file in files:
        arrays = _arrays(file, specs)
        _check_names(file, arrays, specs)
        parts = {
            one.name: _parts(file, inputs.conform(arrays[one.name], one), one, stacked=not file.batch) for one in specs
        }
        if len(set(map(len, parts.values()))) > 1:
            counts = ", ".join(f"{name!r} {len(one)}" for name, one in parts.items())
            raise SpecInvalid(f"{file.name} does not hold equally many samples of each input: {counts}")
        samples += [dict(zip(parts, values, strict=True)) for values in zip(*parts.values(), strict=True)]
    if not samples:
        raise SpecInvalid("the calibration data hold no sample", hint="give 100 or more, such as the model is made for")
    return samples


def _arrays(file: DataFile, specs: Sequence[TensorSpec]) -> dict[str, Array]:
    """The file's arrays by name; an .npy file's belongs to the one input."""
    if file.path is None:
        return {name: inputs.load_file(Path(path)) for name, path in file.batch.items()}
    path = Path(file.path)
    if path.suffix.lower() == ".npy":
        if len(specs) != 1:
            names = ", ".join(one.name for one in specs)
            raise SpecInvalid(
                f"{file.name} holds one array, and the model has {len(specs)} inputs: {names}",
                hint="give an .npz file: numpy.savez(file, **{name: array, ...})",
            )
        return {specs[0].name: inputs.load_file(path)}
    try:
        # Opened here, since numpy leaves a file open that is no archive.
        with path.open("rb") as content, np.load(content, allow_pickle=False) as archive:
            return {name: archive[name] for name in archive.files}
    except _LOAD_ERRORS as error:
        raise SpecInvalid(f"{file.name} cannot be read as .npz: {error}", hint="write it with numpy.savez") from error


def _check_names(file: DataFile, arrays: Mapping[str, Any], specs: Sequence[TensorSpec]) -> None:
    known = [one.name for one in specs]
    unknown, absent = [name for name in arrays if name not in known], [name for name in known if name not in arrays]
    if unknown or absent:
        told = (
            f"no array for the input {absent[0]!r}" if absent else f"an array named {unknown[0]!r}, which is no input"
        )
        raise SpecInvalid(f"{file.name} holds {told}", hint=f"the model's inputs are: {', '.join(known) or 'none'}")


def _parts(file: DataFile, array: Array, spec: TensorSpec, *, stacked: bool) -> Sequence[Array]:
    """The samples that an array holds. Raises :class:`SpecInvalid` for one of another shape, or values that are no numbers."""
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        count = int(array.size - np.isfinite(array).sum())
        raise SpecInvalid(
            f"{file.name}: {count} values for the input {spec.name!r} are infinite or no numbers (NaN)",
            hint="leave those samples out",
        )
    rank = len(spec.shape)
    if array.ndim and array.ndim >= rank and not len(array):
        return []
    if stacked and array.ndim == rank + 1:
        parts: Sequence[Array] = list(array)
    elif rank and array.ndim == rank and (stacked or isinstance(spec.shape[0], int)):
        size = spec.shape[0] if isinstance(spec.shape[0], int) else 1
        parts = np.split(array, len(array) // size) if size and len(array) % size == 0 else [array]
    else:
        parts = [array]
    for part in parts[:1]:
        if not _fits(part.shape, spec.shape):
            raise SpecInvalid(
                f"{file.name}: the array for the input {spec.name!r} has the shape {list(array.shape)}, and the input is {spec.shape_text}",
                hint="the first axis counts samples, the others are the input's"
                if stacked
                else "one batch is one input",
            )
    return parts


def _fits(shape: Sequence[int], declared: Sequence[object]) -> bool:
    return len(shape) == len(declared) and all(
        not isinstance(size, int) or size == given for size, given in zip(declared, shape, strict=True)
    )
