"""A .tflite file as it stands, read without trusting it.

LiteRT 2.3.0 does not check a file before it follows the offsets in it: a truncated file ends its process with SIGSEGV.
Here every offset, length and index is checked before it is used, so that a damaged file is refused with a sentence.
Layout: flatbuffers.dev/internals; tables and field numbers: schema.fbs of github.com/google-ai-edge/LiteRT (tflite/).
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dynolab.errors import ModelInvalid, PluginMissing, SpecInvalid
from dynolab.runtimes.base import install_command

IDENTIFIER = b"TFL3"
CUSTOM = 32  # BuiltinOperator.CUSTOM
_PLACEHOLDER = 127  # in deprecated_builtin_code: the true code stands in builtin_code
_MOST_DIMENSIONS = 8  # more than any kernel takes

DTYPES: Mapping[int, str] = {
    0: "float32", 1: "float16", 2: "int32", 3: "uint8", 4: "int64", 5: "string", 6: "bool", 7: "int16", 8: "complex64",
    9: "int8", 10: "float64", 11: "complex128", 12: "uint64", 13: "resource", 14: "variant", 15: "uint32",
    16: "uint16", 17: "int4", 18: "bfloat16", 19: "int2", 20: "uint4", 21: "float8_e4m3fn", 22: "float8_e5m2",
}  # fmt: skip
"""TensorType to numpy's (or ml_dtypes') name."""

# What to check in each table: field number to ``text``, ``[4]`` (vector of 4-byte numbers), ``Table``, ``[Table]``, or
# ``4`` (a number of 4 bytes). A union's table depends on the number in the field before it, see _UNIONS.
_TABLES: Mapping[str, Mapping[int, str]] = {
    "Model": {
        0: "4", 1: "[OperatorCode]", 2: "[SubGraph]", 3: "text", 4: "[Buffer]", 5: "[4]", 6: "[Metadata]",
        7: "[SignatureDef]", 8: "[ExternalBufferGroup]", 9: "[ExternalBuffer]",
    },
    "OperatorCode": {0: "1", 1: "text", 2: "4", 3: "4"},
    "SubGraph": {0: "[Tensor]", 1: "[4]", 2: "[4]", 3: "[Operator]", 4: "text", 5: "4"},
    "Tensor": {
        0: "[4]", 1: "1", 2: "4", 3: "text", 4: "Quantization", 5: "1", 6: "Sparsity", 7: "[4]", 8: "1",
        9: "[VariantSubType]", 10: "4",
    },
    "Operator": {
        0: "4", 1: "[4]", 2: "[4]", 3: "1", 4: "union", 5: "[1]", 6: "1", 7: "[1]", 8: "[4]", 9: "8", 10: "8", 11: "1",
        12: "union", 13: "4",
    },
    "Buffer": {0: "[1]", 1: "8", 2: "8"},
    "Metadata": {0: "text", 1: "4"},
    "SignatureDef": {0: "[TensorMap]", 1: "[TensorMap]", 2: "text", 4: "4"},
    "TensorMap": {0: "text", 1: "4"},
    "Quantization": {0: "[4]", 1: "[4]", 2: "[4]", 3: "[8]", 4: "1", 5: "union", 6: "4"},
    "Sparsity": {0: "[4]", 1: "[4]", 2: "[DimensionMetadata]"},
    "DimensionMetadata": {0: "1", 1: "4", 2: "1", 3: "union", 4: "1", 5: "union"},
    "VariantSubType": {0: "[4]", 1: "1", 2: "1"},
    "ExternalBufferGroup": {0: "text"},
    "ExternalBuffer": {0: "4", 1: "4", 2: "8", 3: "8", 4: "text"},
    "Bytes": {0: "[1]"}, "Shorts": {0: "[2]"}, "Integers": {0: "[4]"}, "Blocks": {0: "4", 1: "4", 2: "4", 3: "[4]"},
    "Embeddings": {1: "[4]", 2: "[4]"}, "FullyConnected": {5: "[1]"}, "Variable": {0: "text", 1: "text"},
    "Longs": dict.fromkeys(range(3), "[8]"), "Composite": {0: "text", 2: "[1]"}, "Call": {0: "text", 2: "text", 4: "[4]", 5: "[1]"},
    "Dot": {**dict.fromkeys(range(4), "[8]"), 4: "[4]"}, "Window": dict.fromkeys(range(5), "[8]"),
    "Gather": {0: "[8]", 1: "[8]", 2: "[8]", 4: "[8]"}, "Scatter": dict.fromkeys((1, 2, 3), "[8]"),
    "Convolution": {0: "[8]", 1: "[8]", 2: "[8]", 3: "[8]", 4: "[1]", 7: "[8]", 10: "[8]", 13: "[8]", 16: "[4]"},
    "Opaque": {},
}  # fmt: skip
_VECTORS = {1: "Integers", 2: "Shorts", 3: "Bytes"}
_UNIONS: Mapping[tuple[str, int], Mapping[int, str]] = {
    ("Quantization", 5): {1: "Bytes", 2: "Blocks"},
    ("DimensionMetadata", 3): _VECTORS,
    ("DimensionMetadata", 5): _VECTORS,
    ("Operator", 4): {
        3: "Embeddings", 8: "FullyConnected", 17: "Integers", 30: "Integers", 111: "Variable", 115: "Integers",
    },
    ("Operator", 12): {
        2: "Longs", 3: "Longs", 4: "Convolution", 5: "Call", 6: "Longs", 7: "Scatter", 9: "Longs", 10: "Longs",
        12: "Dot", 13: "Window", 16: "Gather", 17: "Longs", 21: "Composite", 23: "Integers",
    },
}  # fmt: skip
"""Options without vectors or texts are ``Opaque``: their own bounds are checked, and that is all there is to check."""


class Table:
    """One table of the file. Every read is checked; a read past an end raises :class:`ModelInvalid`."""

    _SIGNED: ClassVar[Mapping[int, str]] = {1: "<b", 2: "<h", 4: "<i", 8: "<q"}

    def __init__(self, file: mmap.mmap, at: int, kind: str) -> None:
        self.file, self.at, self.kind = file, at, kind
        self._fields = at - self._number("<i", at)
        size, self._inline = self._number("<H", self._fields), self._number("<H", self._fields + 2)
        self._require(size >= 4 and self._inline >= 4, "its field table is damaged")
        self._within(self._fields, size)
        self._within(at, self._inline)
        self._slots = (size - 4) // 2

    def _require(self, holds: bool, why: str) -> None:
        if not holds:
            raise ModelInvalid(f"the table {self.kind} at byte {self.at} of {len(self.file)}: {why}")

    def _within(self, start: int, size: int) -> None:
        self._require(0 <= start <= start + size <= len(self.file), "it reaches past the end of the file")

    def _number(self, layout: str, at: int) -> int:
        self._within(at, struct.calcsize(layout))
        found: int = struct.unpack_from(layout, self.file, at)[0]
        return found

    def _field(self, slot: int, width: int) -> int | None:
        """Where a field stands, or None when it is left at its default."""
        offset = self._number("<H", self._fields + 4 + 2 * slot) if slot < self._slots else 0
        if not offset:
            return None
        self._require(offset + width <= self._inline, f"its field {slot} lies outside of it")
        return self.at + offset

    def _follow(self, slot: int) -> int | None:
        at = self._field(slot, 4)
        return None if at is None else at + self._number("<I", at)

    def number(self, slot: int, width: int = 4, default: int = 0) -> int:
        """A signed number of ``width`` bytes."""
        at = self._field(slot, width)
        return default if at is None else self._number(self._SIGNED[width], at)

    def vector(self, slot: int, width: int) -> tuple[int, int]:
        """Where a vector's elements start, and how many there are; 0, 0 when there is none."""
        at = self._follow(slot)
        if at is None:
            return 0, 0
        count = self._number("<I", at)
        self._within(at + 4, count * width)
        return at + 4, count

    def numbers(self, slot: int) -> tuple[int, ...]:
        """A vector of signed 4-byte numbers."""
        start, count = self.vector(slot, 4)
        return struct.unpack_from(f"<{count}i", self.file, start)

    def text(self, slot: int) -> str:
        """A string; empty when there is none."""
        start, count = self.vector(slot, 1)
        if not start:
            return ""
        self._within(start, count + 1)
        self._require(self.file[start + count] == 0, f"the text in its field {slot} has no end")
        return self.file[start : start + count].decode("utf-8", errors="replace")

    def table(self, slot: int, kind: str) -> Table | None:
        """A table that a field points to."""
        at = self._follow(slot)
        return None if at is None else Table(self.file, at, kind)

    def tables(self, slot: int, kind: str) -> list[Table]:
        """A vector of tables."""
        start, count = self.vector(slot, 4)
        places = range(start, start + 4 * count, 4)
        return [Table(self.file, place + self._number("<I", place), kind) for place in places]

    def parts(self) -> Iterator[Table]:
        """Check every known field, and give the tables that fields point to."""
        for slot, what in _TABLES[self.kind].items():
            if what == "text":
                self.text(slot)
            elif what.isdigit():
                self.number(slot, int(what))
            elif what.strip("[]").isdigit():
                self.vector(slot, int(what.strip("[]")))
            elif what.startswith("["):
                yield from self.tables(slot, what.strip("[]"))
            else:
                name = what if what != "union" else self._union(slot)
                found = self.table(slot, name)
                if found is not None:
                    yield found

    def _union(self, slot: int) -> str:
        return _UNIONS[self.kind, slot].get(self.number(slot - 1, 1) & 0xFF, "Opaque")


@dataclass(frozen=True, slots=True)
class FileTensor:
    """One tensor: ``shape`` holds the sizes that the file was written for, ``declared`` None where one is unbound."""

    name: str
    dtype: str
    shape: tuple[int, ...]
    declared: tuple[int | None, ...]
    buffer: int


@dataclass(frozen=True, slots=True)
class Operation:
    """One operator: its name (a custom operator's own), and indexes of tensors (-1: an optional input left out)."""

    name: str
    custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Graph:
    """One subgraph."""

    tensors: tuple[FileTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    operations: tuple[Operation, ...]


@dataclass(frozen=True, slots=True)
class TfliteFile:
    """What was read. ``main`` is the graph that is run; its names are its signature's where there is one."""

    version: int
    description: str
    minimum_runtime: str
    graphs: tuple[Graph, ...]
    main: Graph
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    buffer_bytes: tuple[int, ...]
    signatures: tuple[str, ...] = ()
    signature_index: int = 0


def read(path: Path, signature: str | None = None) -> TfliteFile:
    """The file's content, all of it checked; ``main`` is the graph of the signature named, else of the first.

    Raises :class:`ModelInvalid`, naming what is wrong, and :class:`SpecInvalid` for a signature that is not there.
    """
    try:
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
            return _read(content, signature)
    except ModelInvalid as error:
        raise ModelInvalid(f"{path.name} is not a sound TFLite file: {error.message}", hint=_HINT) from error
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise ModelInvalid(f"{path.name} cannot be read as a TFLite file: {error}", hint=_HINT) from error


_HINT = "copy or export it again; the file may be truncated or of another format"


def _read(content: mmap.mmap, signature: str | None) -> TfliteFile:
    if len(content) < 8 or content[4:8] != IDENTIFIER:
        raise ModelInvalid(f"bytes 4 to 8 are {content[4:8]!r}, not {IDENTIFIER!r}")
    model = Table(content, struct.unpack_from("<I", content, 0)[0], "Model")
    _check_all(model)
    buffers = tuple(_buffer_bytes(buffer) for buffer in model.tables(4, "Buffer"))
    codes = [_code(code) for code in model.tables(1, "OperatorCode")]
    graphs = tuple(_graph(graph, codes, len(buffers)) for graph in model.tables(2, "SubGraph"))
    _require(bool(graphs), "it holds no graph")
    _check_metadata(model, len(buffers))
    signatures = tuple(table.text(2) for table in model.tables(7, "SignatureDef"))
    index = _chosen(signatures, signature)
    main, inputs, outputs = _signature(model, graphs, index)
    return TfliteFile(
        version=model.number(0),
        description=model.text(3),
        minimum_runtime=_minimum_runtime(model),
        graphs=graphs,
        main=main,
        input_names=inputs,
        output_names=outputs,
        buffer_bytes=buffers,
        signatures=signatures,
        signature_index=index,
    )


def _require(holds: bool, why: str) -> None:
    if not holds:
        raise ModelInvalid(why)


def _check_all(model: Table) -> None:
    """Visit every table once; a damaged file may point to the same one many times, even in circles."""
    seen: set[tuple[int, str]] = set()
    waiting = [model]
    while waiting:
        table = waiting.pop()
        if (table.at, table.kind) not in seen:
            seen.add((table.at, table.kind))
            waiting.extend(table.parts())


def _buffer_bytes(buffer: Table) -> int:
    """Bytes of a buffer, which lie inside its table or, in files above 2 GB, behind all tables."""
    offset, size = buffer.number(1, 8), buffer.number(2, 8)
    if offset > 1:  # 0 and 1 stand for "not used"
        end = len(buffer.file)
        _require(0 <= offset <= offset + size <= end, f"a buffer of {size} bytes at {offset} ends past byte {end}")
        return size
    return buffer.vector(0, 1)[1]


def _code(table: Table) -> tuple[str, bool]:
    """Name of an operator code, and whether it is a custom one."""
    code = table.number(3) if table.number(0, 1) == _PLACEHOLDER else max(table.number(3), table.number(0, 1))
    return (table.text(1), True) if code == CUSTOM else (operator_names().get(code, f"BUILTIN_{code}"), False)


def operator_names() -> Mapping[int, str]:
    """Names of builtin operators by their numbers, from the schema that the library brings."""
    try:
        from ai_edge_litert.schema_py_generated import BuiltinOperator
    except ModuleNotFoundError as error:
        raise PluginMissing(
            f"the module {error.name} is needed to read TFLite files", hint=install_command("litert")
        ) from error
    return {value: name for name, value in vars(BuiltinOperator).items() if isinstance(value, int)}


def _graph(table: Table, codes: list[tuple[str, bool]], buffers: int) -> Graph:
    tensors = tuple(_tensor(tensor, buffers) for tensor in table.tables(0, "Tensor"))
    operations = tuple(_operation(item, codes, len(tensors)) for item in table.tables(3, "Operator"))
    inputs, outputs = table.numbers(1), table.numbers(2)
    for index in (*inputs, *outputs):
        _require(0 <= index < len(tensors), f"a graph names tensor {index} of {len(tensors)} as an input or output")
    return Graph(tensors, inputs, outputs, operations)


def _tensor(table: Table, buffers: int) -> FileTensor:
    name, kind, buffer, shape, signature = (
        table.text(3), table.number(1, 1), table.number(2), table.numbers(0), table.numbers(7),
    )  # fmt: skip
    _require(kind in DTYPES, f"tensor {name!r} is of the unknown type {kind}")
    _require(0 <= buffer < buffers, f"tensor {name!r} names buffer {buffer} of {buffers}")
    _require(min((*shape, *signature, 0)) >= -1, f"tensor {name!r} has the shape {list(shape)}")
    _require(len(shape) <= _MOST_DIMENSIONS, f"tensor {name!r} has {len(shape)} dimensions")
    sizes = signature if len(signature) == len(shape) else shape
    return FileTensor(name, DTYPES[kind], shape, tuple(None if size < 0 else size for size in sizes), buffer)


def _operation(table: Table, codes: list[tuple[str, bool]], tensors: int) -> Operation:
    code, inputs, outputs = table.number(0), table.numbers(1), table.numbers(2)
    _require(0 <= code < len(codes), f"an operator has the code {code} of {len(codes)}")
    for index in (*inputs, *table.numbers(8)):
        _require(-1 <= index < tensors, f"{codes[code][0]} reads tensor {index} of {tensors}")
    for index in outputs:
        _require(0 <= index < tensors, f"{codes[code][0]} writes tensor {index} of {tensors}")
    return Operation(*codes[code], inputs, outputs)


def _chosen(names: tuple[str, ...], wanted: str | None) -> int:
    if wanted is None:
        return 0
    if wanted not in names:
        raise SpecInvalid(
            f"the model has no signature named {wanted!r}", hint=f"its signatures are: {', '.join(names) or 'none'}"
        )
    return names.index(wanted)


def _signature(model: Table, graphs: tuple[Graph, ...], chosen: int) -> tuple[Graph, tuple[str, ...], tuple[str, ...]]:
    """The graph that the runtime runs (the chosen signature's, else the first), with names in the graph's own order."""
    main, renamed = graphs[0], [{}, {}]  # type: tuple[Graph, list[dict[int, str]]]
    tables = list(model.tables(7, "SignatureDef"))
    for table in [*tables, *tables[chosen : chosen + 1]]:  # ends with the chosen one
        index = table.number(4)
        _require(0 <= index < len(graphs), f"a signature names graph {index} of {len(graphs)}")
        main = graphs[index]
        renamed = [{item.number(1): item.text(0) for item in table.tables(slot, "TensorMap")} for slot in (0, 1)]
        for tensor in (*renamed[0], *renamed[1]):
            _require(0 <= tensor < len(main.tensors), f"a signature names tensor {tensor} of {len(main.tensors)}")
    inputs, outputs = (
        tuple(names.get(tensor, main.tensors[tensor].name) for tensor in tensors)
        for names, tensors in zip(renamed, (main.inputs, main.outputs), strict=True)
    )
    return main, inputs, outputs


def _check_metadata(model: Table, buffers: int) -> None:
    for table in model.tables(6, "Metadata"):
        index = table.number(1)
        _require(0 <= index < buffers, f"the metadata {table.text(0)!r} names buffer {index} of {buffers}")


def _minimum_runtime(model: Table) -> str:
    """The version that the converter noted down, such as ``1.14.0``; empty when it did not."""
    buffers = model.tables(4, "Buffer")
    for table in model.tables(6, "Metadata"):
        if table.text(0) == "min_runtime_version":
            start, count = buffers[table.number(1)].vector(0, 1)
            return model.file[start : start + count].rstrip(b"\0").decode("ascii", errors="replace")
    return ""
