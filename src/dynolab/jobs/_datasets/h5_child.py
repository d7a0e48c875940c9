"""The process that reads one dataset file of anybody's: it opens no other file and unpacks no more than it may."""

from __future__ import annotations

import os
import sys
import zlib
from collections.abc import Sequence
from math import ceil, prod
from pathlib import Path
from reprlib import repr as short
from typing import Any, BinaryIO, TypeVar

import h5py
import numpy as np

from dynolab.errors import SpecInvalid, TooLarge
from dynolab.jobs import _confined as confined
from dynolab.jobs._datasets.h5 import WAY_OUT, Array, check_counts, check_dtype

T = TypeVar("T")

_FILTERS = {h5py.h5z.FILTER_DEFLATE, h5py.h5z.FILTER_SHUFFLE}
_PIECE_BYTES = 1 << 16
"""Inflated at a time; deflate shrinks to 1/1032 at best (zlib.net/zlib_tech.html), so that this makes 68 MB at most."""
_BROKEN = (OSError, RuntimeError, KeyError, ValueError, TypeError)
"""What h5py raises where a file's structures make no sense."""
_HERE = "store the arrays in the file itself"


def unpack(name: str, content: Path | BinaryIO, max_bytes: int) -> dict[str, list[Array]]:
    """The tensors of a file of this name. Raises :class:`SpecInvalid` and :class:`TooLarge`; may also never come back."""
    try:
        # No lock: what is read here is not written any more, and some file systems have none.
        with h5py.File(content, "r", locking=False) as file:
            tensors = _tensors(file)
            _check_bytes([batch for batches in tensors.values() for batch in batches], max_bytes)
            return {tensor: [_array(batch) for batch in batches] for tensor, batches in tensors.items()}
    except _BROKEN as error:
        raise SpecInvalid(f"{name} is no HDF5 file or a broken one: {str(error)[:200]}", hint=WAY_OUT) from error


def _tensors(file: h5py.File) -> dict[str, list[h5py.Dataset]]:
    data = _member(file, "data", h5py.Group)
    groups = [_member(data, name, h5py.Group) for name in _numbered(data, "")]
    tensors: dict[str, list[h5py.Dataset]] = {}
    for group in _ordered(groups):
        name = _text(group, "name")
        if not name or name in tensors:
            raise SpecInvalid(f"{group.name} has the name {short(name)}, empty or taken", hint="name each tensor once")
        tensors[name] = _batches(group)
    check_counts({name: len(batches) for name, batches in tensors.items()})
    return tensors


def _member(group: h5py.Group, name: str, kind: type[T]) -> T:
    """What lies in the group itself: a link might lead to any file of this machine."""
    where = f"{group.name.rstrip('/')}/{name}"
    link = group.get(name, getlink=True)
    if link is None:
        raise SpecInvalid(f"{where} is missing", hint=WAY_OUT)
    if not isinstance(link, h5py.HardLink):
        raise SpecInvalid(f"{where} is a link ({type(link).__name__})", hint=_HERE)
    found = group[name]
    if not isinstance(found, kind):
        raise SpecInvalid(f"{where} is a {type(found).__name__}, a {kind.__name__} is needed", hint=WAY_OUT)
    return found


def _numbered(group: h5py.Group, prefix: str) -> list[str]:
    """The names of the group's members, which are numbered from 0 without a gap."""
    expected = [f"{prefix}{number}" for number in range(len(group))]
    if set(group) != set(expected):
        raise SpecInvalid(
            f"{group.name} holds {short(sorted(map(str, group)))}, not {short(expected)}",
            hint="number its members from 0, no gaps",
        )
    return expected


def _ordered(groups: list[h5py.Group]) -> list[h5py.Group]:
    if not any("order" in group.attrs for group in groups):
        return groups
    placed = {_whole(group, "order"): group for group in groups}
    if placed.keys() != set(range(len(groups))):
        raise SpecInvalid(
            f"the tensors' attributes 'order' are {short(sorted(placed))}",
            hint=f"use each of 0 to {len(groups) - 1} once, or leave the attribute out everywhere",
        )
    return [placed[place] for place in range(len(groups))]


def _batches(group: h5py.Group) -> list[h5py.Dataset]:
    count = _whole(group, "batch_count")
    if count != len(group):
        raise SpecInvalid(f"{group.name} says batch_count={count} and holds {len(group)}", hint=WAY_OUT)
    batches = [_member(group, name, h5py.Dataset) for name in _numbered(group, "batch_")]
    for batch in batches:
        _check_stored(batch)
    return batches


def _whole(group: h5py.Group, key: str) -> int:
    return int(_attribute(group, key, h5py.h5t.INTEGER))


def _text(group: h5py.Group, key: str) -> str:
    found = _attribute(group, key, h5py.h5t.STRING)
    # Some programs write text as bytes of a fixed length; and h5py hides bytes that are no UTF-8 in a str.
    content = found if isinstance(found, bytes) else str(found).encode(errors="surrogateescape")
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        message = f"the attribute {key!r} of {group.name} is no UTF-8: {content[:80]!r}"
        raise SpecInvalid(message, hint="write it with h5py as a str") from error


def _attribute(group: h5py.Group, key: str, kind: int) -> Any:
    if key not in group.attrs:
        raise SpecInvalid(f"{group.name} has no attribute {key!r}", hint=WAY_OUT)
    found = group.attrs.get_id(key)
    # Looked at before it is read: lists, references and compounds crash HDF5 in a broken file.
    if found.shape != () or found.get_type().get_class() != kind:
        wanted = "text" if kind == h5py.h5t.STRING else "whole number"
        raise SpecInvalid(f"the attribute {key!r} of {group.name} is not one {wanted}", hint=WAY_OUT)
    return group.attrs[key]


def _check_bytes(batches: Sequence[h5py.Dataset], max_bytes: int) -> None:
    # Not what lies in the file: the same array may be linked a thousand times, and zeros shrink to nothing.
    total = sum(max(_declared(batch), _unpacked(batch)) for batch in batches)
    if total > max_bytes:
        raise TooLarge(f"the dataset unpacks to {total} bytes", hint=f"give at most {max_bytes}, or several datasets")


def _declared(dataset: h5py.Dataset) -> int:
    return int(prod(dataset.shape) * dataset.dtype.itemsize)


def _chunk_bytes(dataset: h5py.Dataset) -> int:
    return int(prod(dataset.chunks) * dataset.dtype.itemsize)


def _unpacked(dataset: h5py.Dataset) -> int:
    """What the file holds of the array; chunks reach beyond its edges."""
    if dataset.chunks is None:
        return int(dataset.id.get_storage_size())
    return int(dataset.id.get_num_chunks()) * _chunk_bytes(dataset)


def _check_stored(dataset: h5py.Dataset) -> None:
    """Does the array lie in this file, whole, and without filters that nobody can foresee?"""
    check_dtype(dataset.dtype, dataset.name)
    if dataset.shape is None or dataset.is_virtual or dataset.external:
        raise SpecInvalid(f"{dataset.name} is null, virtual or external", hint=_HERE)
    filters = _filters(dataset)
    if not _FILTERS.issuperset(filters) or len(set(filters)) < len(filters):
        raise SpecInvalid(f"{dataset.name} has the HDF5 filters {short(filters)}", hint="use compression='gzip' only")
    whole = _declared(dataset)
    if dataset.chunks is not None:
        pairs = zip(dataset.shape, dataset.chunks, strict=True)
        whole = prod(ceil(axis / chunk) for axis, chunk in pairs) * _chunk_bytes(dataset)
    if _unpacked(dataset) != whole:
        raise SpecInvalid(
            f"{dataset.name} of shape {short(dataset.shape)} should hold {whole} bytes and holds {_unpacked(dataset)}",
            hint="write every element of the array",
        )


def _filters(dataset: h5py.Dataset) -> list[int]:
    plan = dataset.id.get_create_plist()
    return [plan.get_filter(index)[0] for index in range(plan.get_nfilters())]


def _array(dataset: h5py.Dataset) -> Array:
    if dataset.chunks is not None:
        _check_chunks(dataset)
    found = np.asarray(dataset[()])
    if found.dtype.kind == "S":  # text; one that is no UTF-8 is a ValueError
        return np.char.decode(found, "utf-8")
    if found.dtype.kind == "b":  # any byte may stand for one in a file, only 0 and 1 do in numpy
        found = np.asarray(found.view(np.uint8) != 0)
    return found.astype(found.dtype.newbyteorder("="), copy=False)


def _check_chunks(dataset: h5py.Dataset) -> None:
    """HDF5 inflates a chunk to any size (2.0 makes 600 MB of 600 kB for an array of 4 kB), so each is tried here first."""
    expected = _chunk_bytes(dataset)
    filters = _filters(dataset)
    chunks: list[Any] = []
    dataset.id.chunk_iter(chunks.append)
    for chunk in chunks:
        size = chunk.size
        # A set bit is a filter that this chunk went without: what does not shrink is stored as it is.
        used = {kind for bit, kind in enumerate(filters) if not chunk.filter_mask >> bit & 1}
        if h5py.h5z.FILTER_DEFLATE in used and size < 2 * expected + _PIECE_BYTES:
            size = _inflated(dataset.id.read_direct_chunk(chunk.chunk_offset)[1], expected)
        if size != expected:
            raise SpecInvalid(
                f"the chunk at {chunk.chunk_offset} of {dataset.name} does not unpack to its {expected} bytes",
                hint=WAY_OUT,
            )


def _inflated(content: bytes, enough: int) -> int:
    """How many bytes there are in it, counted until there are more than enough; -1 if it is no deflate."""
    engine, size = zlib.decompressobj(), 0
    try:
        for start in range(0, len(content), _PIECE_BYTES):
            size += len(engine.decompress(content[start : start + _PIECE_BYTES]))
            if engine.eof or size > enough:
                break
    except zlib.error:
        return -1
    return size


def main(arguments: list[str]) -> int:
    """``NAME BYTES FOLDER``: read standard input into the folder, an array file for each batch, and an answer that names them."""
    name, max_bytes, folder = arguments[0], int(arguments[1]), Path(arguments[2])
    os.environ["HDF5_PLUGIN_PRELOAD"] = "::"  # no filters from shared libraries
    with open(0, "rb") as file:  # a descriptor has no path
        return confined.answer(folder, lambda: _save(unpack(name, file, max_bytes), folder), name, SpecInvalid)


def _save(tensors: dict[str, list[Array]], folder: Path) -> dict[str, list[str]]:
    files: dict[str, list[str]] = {}
    for index, (name, batches) in enumerate(tensors.items()):
        files[name] = [f"{index}_{number}.npy" for number in range(len(batches))]
        for file, batch in zip(files[name], batches, strict=True):
            np.save(folder / file, batch, allow_pickle=False)
    return files


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
