"""What onnx2tf made, put right: names and order of inputs and outputs as the source has them, 32-bit integers, no operators that nobody has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import ModelNotSupported
from dynolab.runtimes.litert.file_facts import CUSTOM_OPERATORS
from dynolab.runtimes.litert.schema import IDENTIFIER
from dynolab.spec.measurements import Notice

_ALIGNED = 16
"""Bytes: schema.fbs asks for it of a buffer's data (force_align), and the generated Python code does not do it."""
_TYPES_IN_OPTIONS = ("outputType", "outType", "inDataType", "outDataType", "idxOutType")
_LEFT = "ONNX_"
"""How onnx2tf names operators that it has no others for."""


def read(path: Path) -> Any:
    """The file as the schema's objects."""
    from ai_edge_litert import schema_py_generated as schema

    return schema.ModelT.InitFromPackedBuf(path.read_bytes(), 0)


def write(model: Any, path: Path) -> None:
    """The objects, which are used up, as a file. Raises :class:`ModelNotSupported` where they do not fit into one."""
    import flatbuffers

    model.buffers = [_Buffer(one) for one in model.buffers]
    builder = flatbuffers.Builder(1 << 20)
    try:
        builder.Finish(model.Pack(builder), IDENTIFIER)
    except flatbuffers.builder.BuilderSizeError as error:
        raise ModelNotSupported("the model takes more than 2 GiB, and a TFLite file holds no more") from error
    path.write_bytes(builder.Output())


def refuse_unknown(model: Any) -> None:
    """Raise :class:`ModelNotSupported` with the operators that no runtime has."""
    names = {code.customCode.decode("utf-8", "replace") for code in model.operatorCodes if code.customCode}
    left = sorted(names - CUSTOM_OPERATORS)
    if left:
        told = ", ".join(name.removeprefix(_LEFT) for name in left)
        raise ModelNotSupported(
            f"onnx2tf has no operators of TFLite for {told} as this model uses them: it leaves them as custom ones"
            f" ({', '.join(left)}), which no runtime has",
            hint="--input-specs for all inputs, if shapes are open; else export the model without them",
        )


def name_ends(model: Any, inputs: Mapping[str, str], outputs: Mapping[str, str]) -> None:
    """Have these inputs and outputs alone, in this order: names to be by names that they have.

    Raises :class:`ModelNotSupported` for one that is not there.
    """
    from ai_edge_litert import schema_py_generated as schema

    graph, signature = model.subgraphs[0], schema.SignatureDefT()
    signature.signatureKey, signature.subgraphIndex = b"serving_default", 0
    places = {tensor.name.decode("utf-8", "replace"): index for index, tensor in enumerate(graph.tensors)}
    for names, kind in ((inputs, "inputs"), (outputs, "outputs")):
        if missing := [wanted for own, wanted in names.items() if own not in places]:
            raise ModelNotSupported(f"onnx2tf leaves out {', '.join(missing)} of the model's {kind}")
        setattr(graph, kind, np.array([places[own] for own in names], np.int32))
        maps = []
        for own, wanted in names.items():
            one = schema.TensorMapT()
            one.name, one.tensorIndex = wanted.encode(), places[own]
            graph.tensors[places[own]].name = wanted.encode()
            maps.append(one)
        setattr(signature, kind, maps)
    model.signatureDefs = [signature]


def ends(model: Any) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """What (input, output), name and shape of each; -1 for an open dimension."""
    graph = model.subgraphs[0]
    for kind, places in (("input", graph.inputs), ("output", graph.outputs)):
        for place in places:
            tensor = graph.tensors[place]
            found = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
            yield kind, tensor.name.decode(), tuple(map(int, () if found is None else found))


def check_shape(what: str, name: str, source: Sequence[object], made: Sequence[int]) -> tuple[Notice, ...]:
    """A notice where a scalar became one number. Raises :class:`ModelNotSupported` where the shape is not the source's."""
    if not source and tuple(made) == (1,):
        text = f"{what} {name!r} is a scalar in the source, and a list of one number here"
        return (Notice("info", "scalar-became-list", text),)
    known = [size if isinstance(size, int) else -1 for size in source]
    if len(known) != len(made) or any(-1 not in pair and pair[0] != pair[1] for pair in zip(known, made, strict=True)):
        raise ModelNotSupported(
            f"onnx2tf makes the shape {list(made)} of {what} {name!r}, which has {known} (-1: open)",
            hint="--input-specs for all inputs fixes shapes" if -1 in known else "",
        )
    return ()


def narrow(model: Any) -> int:
    """How many constants do not fit; 64-bit integers are 32-bit ones afterwards, in all tensors."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.TensorType
    narrower = {kinds.INT64: (kinds.INT32, np.int64, np.int32), kinds.UINT64: (kinds.UINT32, np.uint64, np.uint32)}
    cut, done = 0, set[int]()
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if tensor.type not in narrower:
                continue
            tensor.type, wide, small = narrower[tensor.type]
            buffer = model.buffers[tensor.buffer]
            if buffer.data is not None and len(buffer.data) and tensor.buffer not in done:
                done.add(tensor.buffer)
                values = np.asarray(buffer.data, np.uint8).view(wide)
                low, high = np.iinfo(small).min, np.iinfo(small).max
                ends_of_all = (np.iinfo(wide).min, np.iinfo(wide).max)  # "up to the end", as slices say it
                cut += int(((values < low) | (values > high) & ~np.isin(values, ends_of_all)).sum())
                buffer.data = np.clip(values, low, high).astype(small).view(np.uint8)
        for operator in graph.operators:
            for name in _TYPES_IN_OPTIONS:
                if getattr(operator.builtinOptions, name, None) in narrower:
                    setattr(operator.builtinOptions, name, narrower[getattr(operator.builtinOptions, name)][0])
    return cut


class _Buffer:
    """A buffer that is written where a multiple of :data:`_ALIGNED` bytes stands before it."""

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - the generated code calls it so
        from ai_edge_litert import schema_py_generated as schema

        if self._buffer.data is None or not len(self._buffer.data):
            return self._buffer.Pack(builder)
        content = np.asarray(self._buffer.data, np.uint8).tobytes()
        builder.StartVector(1, len(content), _ALIGNED)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)
