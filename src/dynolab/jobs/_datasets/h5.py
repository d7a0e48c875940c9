"""Dataset files: named tensors in batches, in HDF5 as the official client writes and reads it.

``/data/<i>`` is a group for each tensor, with the attributes ``name``, ``batch_count`` and ``order`` (= i); in it are the
datasets ``batch_0``, ``batch_1``, ...
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from dynolab.connections.local import own_folder
from dynolab.errors import Forbidden, SpecInvalid
from dynolab.jobs import _confined as confined
from dynolab.measure import inputs
from dynolab.spec import codec, untrusted

Array = NDArray[Any]

DTYPES = (
    "bool", "float16", "float32", "float64", "int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64",
    "complex64", "complex128",
)  # fmt: skip
"""numpy's own numbers. The official client reads them all; from a dict of arrays it writes none wider than int64 and float32."""
MAX_BYTES = 2 << 30
"""What :func:`read` unpacks unless told otherwise."""
MAX_S = 120
"""How long it takes at most. Noise, which is the slowest to inflate, came at 40 MB/s on one core of a small machine."""
WAY_OUT = "write the file with the client's upload_dataset, given a dict of lists of arrays"
_CHILD = ("-m", "dynolab.jobs._datasets.h5_child")


def write(place: Path | BinaryIO, tensors: Mapping[str, Sequence[Array]]) -> None:
    """A file of the tensors given, each a list of batches. Raises :class:`SpecInvalid` for what the format cannot hold."""
    check_counts({name: len(batches) for name, batches in tensors.items()})
    for name, batches in tensors.items():
        if not name or "\0" in name:
            raise SpecInvalid(f"{name!r} is no name for a tensor", hint="give it a name, without NUL characters")
        for batch in batches:
            check_dtype(batch.dtype, f"tensor {name!r}")
    with h5py.File(place, "w") as file:
        for index, (name, batches) in enumerate(tensors.items()):
            group = file.create_group(f"data/{index}")
            group.attrs.update(name=name, batch_count=len(batches), order=index)
            for number, batch in enumerate(batches):
                native = _stored(batch)
                # HDF5 compresses chunks, which an array without axes or elements does not have.
                compression = "gzip" if native.ndim and native.size else None
                group.create_dataset(f"batch_{number}", data=native, compression=compression)


def _stored(batch: Array) -> Array:
    """As it lies in a file: in the machine's byte order, text as UTF-8 of one length, which no reader has to follow."""
    if batch.dtype.kind != "U":
        return batch.astype(batch.dtype.newbyteorder("="), copy=False)
    encoded = np.char.encode(batch, "utf-8")
    return encoded.astype(h5py.string_dtype("utf-8", max(1, encoded.dtype.itemsize)))


def read(path: Path, *, max_bytes: int = MAX_BYTES, max_s: float = MAX_S) -> dict[str, list[Array]]:
    """The tensors of a file in their order: for each name its batches, of the machine's byte order.

    The file may come from anybody. A confined process reads it, because HDF5 cannot be trusted with such: in version 2.0
    one changed byte of a file makes it loop for ever (H5HG__cache_heap_deserialize), others crash it.
    Raises :class:`SpecInvalid` for a file that is not of this form, :class:`TooLarge` past ``max_bytes``.
    """
    with path.open("rb") as file, own_folder("h5-") as own:
        folder = own / "out"
        folder.mkdir()
        answer = confined.ask(
            _CHILD,
            [path.name, str(max_bytes)],
            file,
            folder,
            max_s=max_s,
            max_bytes=memory_bytes(max_bytes),
            kind=SpecInvalid,
            hint=WAY_OUT,
        )
        tensors = codec.decode(dict[str, tuple[str, ...]], answer, "what was read of the dataset")
        return {name: [_load(folder / batch, folder) for batch in batches] for name, batches in tensors.items()}


def _load(path: Path, folder: Path) -> Array:
    """An array that the process left. Raises :class:`SpecInvalid` for what it writes in no honest case."""
    try:
        untrusted.open_file(path, inside=folder).close()
        return inputs.load_file(path)
    except (Forbidden, OSError) as error:
        raise SpecInvalid(f"whoever reads the dataset left {path.name!r}, which is no array", hint=WAY_OUT) from error


def memory_bytes(max_bytes: int) -> int:
    """What the process may take: all arrays, a chunk packed and one unpacked, and Python itself."""
    return 3 * max_bytes + (1 << 30)


def check_counts(batches: Mapping[str, int]) -> None:
    """Are there tensors, each with as many batches as the others? Raises :class:`SpecInvalid`."""
    if not batches:
        raise SpecInvalid("a dataset needs one tensor or more, this one has none", hint=WAY_OUT)
    if len(set(batches.values())) > 1 or 0 in batches.values():
        raise SpecInvalid(
            f"tensors have no batches or not equally many: {', '.join(f'{k!r} {v}' for k, v in batches.items())}",
            hint="give every tensor one array for each sample",
        )


def check_dtype(dtype: np.dtype[Any], where: str) -> None:
    """Is it one of :data:`DTYPES`, or text? Raises :class:`SpecInvalid`."""
    if dtype.name not in DTYPES and not (dtype.kind in "SU" and dtype.itemsize):
        hint = f"convert it to one of {', '.join(DTYPES)}, or text to UTF-8 of one length: numpy.char.encode(values, 'utf-8')"
        raise SpecInvalid(f"{where} is of type {dtype.name}", hint=hint)
