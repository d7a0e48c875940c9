"""TFLite models of any operators for tests, made on the spot with the schema that LiteRT brings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.runtimes.base import Array

_COLUMNS = 1024
"""A row of float32 weights fills one page of 4 KiB."""


@dataclass
class Part:
    """One graph of a model to make: tensors, operators, inputs and outputs, by number."""

    tensors: list[tuple[Any, ...]] = field(default_factory=list)
    operators: list[tuple[Any, ...]] = field(default_factory=list)
    inputs: Sequence[int] = ()
    outputs: Sequence[int] = ()

    def tensor(
        self,
        name: str,
        kind: str,
        shape: Sequence[int],
        *,
        declared: Sequence[int] | None = None,
        value: Array | None = None,
    ) -> int:
        """The number of a new tensor; ``kind`` is a name in the schema's TensorType, ``declared`` its shape signature."""
        self.tensors.append((name, kind, list(shape), declared, value))
        return len(self.tensors) - 1

    def operator(self, code: str, inputs: list[int], outputs: list[int], **options: Any) -> None:
        """``code``: a builtin operator's name, or ``custom:Name``; options go to the table named by ``table``."""
        self.operators.append((code, inputs, outputs, options))


class _Writer:
    """A model in the schema's own objects, grown part by part."""

    def __init__(self) -> None:
        from ai_edge_litert import schema_py_generated

        self.schema: Any = schema_py_generated
        self.model: Any = self.schema.ModelT()
        self.model.version, self.model.description = 3, "made by a test"
        self.model.buffers, self.model.operatorCodes, self.model.subgraphs = [self.schema.BufferT()], [], []
        self._codes: dict[str, int] = {}

    def add(self, part: Part) -> None:
        graph = self.schema.SubGraphT()
        graph.tensors = [self._tensor(*tensor) for tensor in part.tensors]
        graph.operators = [self._operator(*operator) for operator in part.operators]
        graph.inputs, graph.outputs = list(part.inputs), list(part.outputs)
        self.model.subgraphs.append(graph)

    def _tensor(
        self, name: str, kind: str, shape: list[int], declared: Sequence[int] | None, value: Array | None
    ) -> Any:
        tensor = self.schema.TensorT()
        tensor.name, tensor.type, tensor.shape = name, getattr(self.schema.TensorType, kind), shape
        tensor.shapeSignature = None if declared is None else list(declared)
        tensor.buffer = 0  # the empty one
        if value is not None:
            buffer = self.schema.BufferT()
            buffer.data = np.frombuffer(value.tobytes(), np.uint8)
            self.model.buffers.append(buffer)
            tensor.buffer = len(self.model.buffers) - 1
        return tensor

    def _code(self, name: str) -> int:
        """The number of an operator's code, which stands in the file once."""
        if name not in self._codes:
            code, custom = self.schema.OperatorCodeT(), name.partition(":")[2]
            operators = self.schema.BuiltinOperator
            code.builtinCode = operators.CUSTOM if custom else getattr(operators, name)
            code.deprecatedBuiltinCode, code.customCode, code.version = min(code.builtinCode, 127), custom or None, 1
            self._codes[name] = len(self._codes)
            self.model.operatorCodes.append(code)
        return self._codes[name]

    def _operator(self, code: str, inputs: list[int], outputs: list[int], options: Mapping[str, Any]) -> Any:
        operator = self.schema.OperatorT()
        operator.opcodeIndex, operator.inputs, operator.outputs = self._code(code), inputs, outputs
        if options:
            table = options["table"]
            operator.builtinOptionsType = getattr(self.schema.BuiltinOptions, table)
            operator.builtinOptions = getattr(self.schema, f"{table}T")()
            for name, value in options.items():
                if name != "table":
                    setattr(operator.builtinOptions, name, value)
        return operator

    def sign(self, inputs: Mapping[int, str], outputs: Mapping[int, str], key: str = "serve", graph: int = 0) -> None:
        """Name a graph's inputs and outputs by a signature."""
        signature = self.schema.SignatureDefT()
        signature.signatureKey, signature.subgraphIndex = key, graph
        signature.inputs, signature.outputs = (
            [self._map(*item) for item in side.items()] for side in (inputs, outputs)
        )
        self.model.signatureDefs = [*(self.model.signatureDefs or ()), signature]

    def _map(self, tensor: int, name: str) -> Any:
        item = self.schema.TensorMapT()
        item.tensorIndex, item.name = tensor, name
        return item


def write(
    path: Path,
    *parts: Part,
    names: tuple[dict[int, str], dict[int, str]] | None = None,
    signatures: Sequence[str] = (),
) -> Path:
    """A .tflite file of the graphs given; ``names``: a signature's inputs and outputs, by tensor.

    ``signatures``: the keys of one signature for each graph, with the tensors' own names.
    """
    import flatbuffers

    writer = _Writer()
    for part in parts:
        writer.add(part)
    if names is not None:
        writer.sign(*names)
    for number, key in enumerate(signatures):
        part = parts[number]
        fed, given = ({tensor: str(part.tensors[tensor][0]) for tensor in side} for side in (part.inputs, part.outputs))
        writer.sign(fed, given, key, number)
    builder = flatbuffers.Builder(1024)
    builder.Finish(writer.model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def _weights(part: Part, size: int) -> tuple[int, int]:
    """The number of a matrix of ``size`` bytes, and its rows."""
    rows = size // (4 * _COLUMNS)
    value = np.random.default_rng(0).standard_normal((rows, _COLUMNS), dtype=np.float32)
    return part.tensor("weights", "FLOAT32", [rows, _COLUMNS], value=value), rows


def product(path: Path, *, weight_bytes: int) -> Path:
    """``x`` [1, 1024] times a matrix of ``weight_bytes``: XNNPACK takes it, and packs the weights."""
    part = Part()
    weights, rows = _weights(part, weight_bytes)
    part.inputs = [part.tensor("x", "FLOAT32", [1, _COLUMNS])]
    part.outputs = [part.tensor("y", "FLOAT32", [1, rows])]
    part.operator("FULLY_CONNECTED", [*part.inputs, weights], [*part.outputs], table="FullyConnectedOptions")
    return write(path, part)


def column(path: Path, *, weight_bytes: int) -> Path:
    """The column ``x`` (int32, [1]) of a table of ``weight_bytes``: one number in each page, by an operator that nothing packs."""
    part = Part()
    weights, rows = _weights(part, weight_bytes)
    part.inputs = [part.tensor("x", "INT32", [1])]
    part.outputs = [part.tensor("y", "FLOAT32", [rows, 1])]
    part.operator("GATHER", [weights, *part.inputs], [*part.outputs], table="GatherOptions", axis=1)
    return write(path, part)
