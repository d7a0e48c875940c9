"""Reads from an ONNX file where its external data lies, without loading it (protobuf wire format, onnx.proto)."""

from __future__ import annotations

import io
import mmap
from collections.abc import Callable, Iterator
from typing import BinaryIO, TypeVar

from dynolab.errors import ModelInvalid
from dynolab.spec.tensors import Dimension, TensorSpec

Buffer = bytes | memoryview | mmap.mmap
T = TypeVar("T")

_GRAPH, _NODE, _INITIALIZER, _SPARSE = 7, 1, 5, 15
_ATTRIBUTE, _OPERATOR = 5, 4
_ATTRIBUTE_NAME, _ATTRIBUTE_NUMBER, _ATTRIBUTE_TEXT = 1, 3, 4
_INPUT, _OUTPUT, _VALUE_NAME, _TENSOR_NAME = 11, 12, 1, 8
_ATTRIBUTE_TENSOR, _ATTRIBUTE_GRAPH, _ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = 5, 6, 10, 11
_EXTERNAL_DATA, _KEY, _VALUE = 13, 1, 2
_FUNCTION, _FUNCTION_NODE = 25, 7


def external_data(name: str, file: BinaryIO) -> list[str]:
    """Locations of external data that an open model file of this name tells, sorted, each once.

    Raises :class:`ModelInvalid`.
    """
    if file.seek(0, io.SEEK_END) == 0:
        raise ModelInvalid(f"{name} is empty")
    with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        try:
            found = set(_model(view))
        except RecursionError as error:
            raise ModelInvalid(f"{name} has graphs inside graphs, too deep for anybody to read") from error
        except ValueError as error:
            raise ModelInvalid(
                f"{name} is not a whole ONNX file: {error}", hint="it may be truncated; download or export it again"
            ) from error
    return sorted(found)


def contexts(name: str, file: BinaryIO) -> list[str] | None:
    """Locations of the contexts that were built for Qualcomm's NPU and that an open model file of this name holds nodes for.

    None: it has no such node; a context that stands in the file itself has no location. Raises :class:`ModelInvalid`.
    """
    found = _listed(name, file, _contexts)
    return [one for one in found if one] if found else None


def _contexts(data: mmap.mmap) -> Iterator[str]:
    for extent in _extents(data, 0, len(data), _GRAPH):
        for start, end in _extents(data, *extent, _NODE):
            if _name(data, start, end, _OPERATOR) != "EPContext":
                continue
            parts = {
                _name(data, low, high, _ATTRIBUTE_NAME): (low, high)
                for low, high in _extents(data, start, end, _ATTRIBUTE)
            }
            if "QNN" not in (_name(data, *parts["source"], _ATTRIBUTE_TEXT) if "source" in parts else ""):
                continue
            embedded = _number(data, *parts["embed_mode"], _ATTRIBUTE_NUMBER) if "embed_mode" in parts else 1
            yield "" if embedded else _name(data, *parts["ep_cache_context"], _ATTRIBUTE_TEXT)


def _number(data: mmap.mmap, start: int, end: int, wanted: int) -> int:
    return next((_varint(data, low)[0] for number, low, _ in _fields(data, start, end) if number == wanted), 0)


def inputs(name: str, file: BinaryIO) -> list[str]:
    """The inputs' names of an open model file of this name, in order; weights that are listed as inputs are left out.

    Raises :class:`ModelInvalid`.
    """
    return _listed(name, file, _inputs)


def outputs(name: str, file: BinaryIO) -> list[str]:
    """The outputs' names of an open model file of this name, in order. Raises :class:`ModelInvalid`."""
    return _listed(name, file, _outputs)


ELEMENT_TYPES = (
    "undefined", "float32", "uint8", "int8", "uint16", "int16", "int32", "int64", "string", "bool", "float16", "float64",
    "uint32", "uint64", "complex64", "complex128", "bfloat16", "float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2",
    "float8_e5m2fnuz", "uint4", "int4", "float4_e2m1fn", "float8_e8m0fnu", "uint2", "int2",
)  # fmt: skip
"""By onnx.proto's numbers (TensorProto.DataType)."""
_VALUE_TYPE, _TENSOR_TYPE, _SHAPE, _DIMENSION = 2, 1, 2, 1
_ELEMENT_TAG, _SIZE_TAG, _SIZE_NAME_TAG = 0x08, 0x08, 0x12
_OTHER_TYPES = {
    4: "sequence", 5: "map", 7: "value of a type of its own", 8: "sparse tensor",
    9: "value that may be missing (ONNX: optional)",
}  # fmt: skip


def declared(name: str, file: BinaryIO) -> dict[str, TensorSpec | str]:
    """By name each input and output as the file has it, weights that are listed as inputs too; in words what is no tensor.

    Raises :class:`ModelInvalid`.
    """
    return dict(_listed(name, file, _declared))


def _declared(data: mmap.mmap) -> Iterator[tuple[str, TensorSpec | str]]:
    for start, end in _extents(data, 0, len(data), _GRAPH):
        for number, first, last in _fields(data, start, end):
            if number in (_INPUT, _OUTPUT):
                name = _name(data, first, last, _VALUE_NAME)
                for kind, low, high in (
                    part for one in _extents(data, first, last, _VALUE_TYPE) for part in _fields(data, *one)
                ):
                    other = _OTHER_TYPES.get(kind, "value of unknown type")
                    yield name, _tensor_type(data, name, low, high) if kind == _TENSOR_TYPE else other


def _tensor_type(data: mmap.mmap, name: str, start: int, end: int) -> TensorSpec:
    element = data[start + 1] if end > start + 1 and data[start] == _ELEMENT_TAG else 0  # first, as every writer has it
    known = ELEMENT_TYPES[element] if element < len(ELEMENT_TYPES) else f"element type {element}"
    shapes = _extents(data, start, end, _SHAPE)
    return TensorSpec(
        name, known, tuple(_size(data, *dim) for shape in shapes for dim in _extents(data, *shape, _DIMENSION))
    )


def _size(data: mmap.mmap, start: int, end: int) -> Dimension:
    if end > start and data[start] == _SIZE_TAG:
        size = _varint(data, start + 1)[0]
        return size if size < 1 << 63 else None  # some exporters write -1
    if end > start and data[start] == _SIZE_NAME_TAG:
        return _name(data, start, end, 2) or None
    return None


def _listed(name: str, file: BinaryIO, found: Callable[[mmap.mmap], Iterator[T]]) -> list[T]:
    with mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as view:
        try:
            return list(found(view))
        except (KeyError, ValueError) as error:
            raise ModelInvalid(f"{name} is not a whole ONNX file: {error}") from error


def _inputs(data: mmap.mmap) -> Iterator[str]:
    for start, end in _extents(data, 0, len(data), _GRAPH):
        weights = {_name(data, *extent, _TENSOR_NAME) for extent in _extents(data, start, end, _INITIALIZER)}
        for tensor in _extents(data, start, end, _SPARSE):
            weights |= {_name(data, *extent, _TENSOR_NAME) for extent in _extents(data, *tensor, 1)}
        named = (_name(data, *extent, _VALUE_NAME) for extent in _extents(data, start, end, _INPUT))
        yield from (name for name in named if name not in weights)


def _outputs(data: mmap.mmap) -> Iterator[str]:
    for start, end in _extents(data, 0, len(data), _GRAPH):
        yield from (_name(data, *extent, _VALUE_NAME) for extent in _extents(data, start, end, _OUTPUT))


def _extents(data: mmap.mmap, start: int, end: int, wanted: int) -> Iterator[tuple[int, int]]:
    return ((first, last) for number, first, last in _fields(data, start, end) if number == wanted)


def _name(data: mmap.mmap, start: int, end: int, wanted: int) -> str:
    return next((bytes(data[low:high]).decode("utf-8") for low, high in _extents(data, start, end, wanted)), "")


def _model(data: mmap.mmap) -> Iterator[str]:
    graphs = 0
    for number, start, end in _fields(data, 0, len(data)):
        if number == _GRAPH:
            graphs += 1
            yield from _graph(data, start, end)
        elif number == _FUNCTION:
            yield from _nodes(data, start, end, _FUNCTION_NODE)
    if not graphs:
        raise ValueError("there is no graph in it")


def _graph(data: mmap.mmap, start: int, end: int) -> Iterator[str]:
    yield from _nodes(data, start, end, _NODE)
    for number, first, last in _fields(data, start, end):
        if number == _INITIALIZER:
            yield from _tensor(data, first, last)
        elif number == _SPARSE:
            for part, low, high in _fields(data, first, last):
                if part in (1, 2):
                    yield from _tensor(data, low, high)


def _nodes(data: mmap.mmap, start: int, end: int, node: int) -> Iterator[str]:
    for number, first, last in _fields(data, start, end):
        if number != node:
            continue
        for part, low, high in _fields(data, first, last):
            if part == _ATTRIBUTE:
                yield from _attribute(data, low, high)


def _attribute(data: mmap.mmap, start: int, end: int) -> Iterator[str]:
    for number, first, last in _fields(data, start, end):
        if number in (_ATTRIBUTE_TENSOR, _ATTRIBUTE_TENSORS) and last > first:
            yield from _tensor(data, first, last)
        elif number in (_ATTRIBUTE_GRAPH, _ATTRIBUTE_GRAPHS) and last > first:
            yield from _graph(data, first, last)


def _tensor(data: mmap.mmap, start: int, end: int) -> Iterator[str]:
    for number, first, last in _fields(data, start, end):
        if number == _EXTERNAL_DATA:
            pair = {part: bytes(data[low:high]) for part, low, high in _fields(data, first, last)}
            if pair.get(_KEY) == b"location":
                yield pair.get(_VALUE, b"").decode("utf-8")


def _fields(data: mmap.mmap, position: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Number, start and end of each length-delimited field; others are stepped over with an empty extent."""
    while position < end:
        tag, position = _varint(data, position)
        number, kind = tag >> 3, tag & 7
        start = last = position
        if kind == 0:
            _, position = _varint(data, position)
        elif kind == 1:
            position += 8
        elif kind == 5:
            position += 4
        elif kind == 2:
            size, start = _varint(data, position)
            last = position = start + size
        else:
            raise ValueError(f"byte {position} is no protobuf field")
        if number == 0 or position > end:
            raise ValueError(f"a field at byte {start} runs past the end of the file")
        yield number, start, last if kind == 2 else start


def _varint(data: mmap.mmap, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        try:
            byte = data[position]
        except IndexError:
            raise ValueError(f"a field at byte {position} runs past the end of the file") from None
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
        if shift > 63:
            raise ValueError(f"byte {position} is no protobuf field")
