"""What onnx2tf made, put right: names and order of inputs and outputs as the source has them, 32-bit integers, no operators that nobody has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import ModelNotSupported
from dynolab.runtimes.litert import schema as files
from dynolab.runtimes.litert.file_facts import CUSTOM_OPERATORS
from dynolab.runtimes.litert.schema import DTYPES, IDENTIFIER
from dynolab.spec.measurements import Notice
from dynolab.spec.tensors import Quantization

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


def settle(model: Any) -> None:
    """Variables that hold a state become the zeros that they begin with where no operator keeps one: LiteRT's newer API has none."""
    from ai_edge_litert import schema_py_generated as schema

    stateful = (schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_LSTM, schema.BuiltinOperator.BIDIRECTIONAL_SEQUENCE_LSTM,
                schema.BuiltinOperator.UNIDIRECTIONAL_SEQUENCE_RNN, schema.BuiltinOperator.BIDIRECTIONAL_SEQUENCE_RNN,
                schema.BuiltinOperator.LSTM, schema.BuiltinOperator.RNN, schema.BuiltinOperator.SVDF)  # fmt: skip
    codes = _codes(model)
    for graph in model.subgraphs:
        kept = {
            int(place) for one in graph.operators if codes[one.opcodeIndex] in stateful for place in none_or(one.inputs)
        }
        for place, tensor in enumerate(graph.tensors):
            if tensor.isVariable and place not in kept:
                dtype, buffer = np.dtype(DTYPES[tensor.type]), schema.BufferT()
                buffer.data = np.zeros(int(np.prod(tensor.shape)) * dtype.itemsize, np.uint8)
                tensor.isVariable, tensor.buffer = False, len(model.buffers)
                model.buffers.append(buffer)


def keep_types(model: Any, inputs: Sequence[str], outputs: Sequence[str]) -> tuple[Notice, ...]:
    """A notice where 64-bit integers are computed as 32-bit ones; outputs that became such are widened again.

    Raises :class:`ModelNotSupported` for another type that is not the source's.
    """
    graph, narrowed = model.subgraphs[0], list[str]()
    for places, kinds in ((graph.inputs, inputs), (graph.outputs, outputs)):
        for number, (place, wanted) in enumerate(zip(places, kinds, strict=True)):
            own, name = DTYPES[graph.tensors[place].type], graph.tensors[place].name.decode()
            if (own, wanted) == ("int32", "int64") and places is graph.outputs:
                narrowed.append(name)
                _widen(model, number)
            elif own != wanted:
                raise ModelNotSupported(f"onnx2tf makes {name!r} {own}, and it is {wanted} in the source")
    if not narrowed:
        return ()
    text = f"onnx2tf computes {', '.join(narrowed)} with integers of 32 bits: numbers beyond them come out wrong"
    return (Notice("warning", "integers-of-32-bits", text),)


def _widen(model: Any, number: int) -> None:
    """A cast to 64 bits before an output, which keeps its name."""
    from ai_edge_litert import schema_py_generated as schema

    graph, signature = model.subgraphs[0], model.signatureDefs[0]
    place = int(graph.outputs[number])
    old, new = graph.tensors[place], schema.TensorT()
    new.name, new.shape, new.shapeSignature, new.type = old.name, old.shape, old.shapeSignature, schema.TensorType.INT64
    old.name += b"_of_32_bits"
    options, operator = schema.CastOptionsT(), schema.OperatorT()
    options.inDataType, options.outDataType = old.type, new.type
    operator.opcodeIndex = new_code(model, schema.BuiltinOperator.CAST)
    operator.inputs, operator.outputs = [place], [len(graph.tensors)]
    operator.builtinOptionsType, operator.builtinOptions = schema.BuiltinOptions.CastOptions, options
    graph.outputs[number] = signature.outputs[number].tensorIndex = len(graph.tensors)
    graph.tensors.append(new)
    graph.operators.append(operator)


def ends(model: Any) -> Iterator[tuple[str, str, tuple[int, ...]]]:
    """What (input, output), name and shape of each; -1 for an open dimension."""
    graph = model.subgraphs[0]
    for kind, places in (("input", graph.inputs), ("output", graph.outputs)):
        for place in places:
            tensor = graph.tensors[place]
            found = tensor.shape if tensor.shapeSignature is None else tensor.shapeSignature
            yield kind, tensor.name.decode(), tuple(map(int, () if found is None else found))


def quantizations(path: Path) -> Iterator[Quantization]:
    """Scale and zero point of each input and output of a file that has them, by the names that LiteRT takes."""
    file = files.read(path)
    graph = read(path).subgraphs[file.graphs.index(file.main)]
    ends = zip((*file.input_names, *file.output_names), (*graph.inputs, *graph.outputs), strict=True)
    for name, place in ends:
        tensor = graph.tensors[place]
        told = tensor.quantization
        if told is not None and told.scale is not None and len(told.scale) == 1:
            yield Quantization(name, DTYPES[tensor.type], float(told.scale[0]), int(told.zeroPoint[0]))


def check_shape(what: str, name: str, source: Sequence[object], made: Sequence[int]) -> tuple[Notice, ...]:
    """A notice where a scalar became one number. Raises :class:`ModelNotSupported` where the shape is not the source's."""
    if not source and tuple(made) == (1,):
        text = f"{what} {name!r} is a scalar in the source, and a list of one number here"
        return (Notice("info", "scalar-became-list", text),)
    known = [size if isinstance(size, int) else -1 for size in source]
    if len(known) != len(made) or any(-1 not in pair and pair[0] != pair[1] for pair in zip(known, made, strict=True)):
        raise ModelNotSupported(
            f"onnx2tf makes the shape {list(made)} of {what} {name!r}, which has {known} (-1: open)",
            hint="--input-specs for all inputs fixes shapes" if -1 in known else None,
        )
    return ()


def narrow(model: Any) -> int:
    """How many constants do not fit; 64-bit integers are 32-bit ones afterwards, in all tensors."""
    from ai_edge_litert import schema_py_generated as schema

    kinds = schema.TensorType
    narrower = {kinds.INT64: kinds.INT32, kinds.UINT64: kinds.UINT32}
    cut, done = 0, set[int]()
    for graph in model.subgraphs:
        for tensor in graph.tensors:
            if tensor.type not in narrower:
                continue
            if tensor.buffer not in done:
                done.add(tensor.buffer)
                cut += _narrow_buffer(model.buffers[tensor.buffer], signed=tensor.type == kinds.INT64)
            tensor.type = narrower[tensor.type]
        for operator in graph.operators:
            for name in _TYPES_IN_OPTIONS:
                if (kind := getattr(operator.builtinOptions, name, None)) in narrower:
                    setattr(operator.builtinOptions, name, narrower[kind])
    _leave_out_casts(model)
    return cut


def _narrow_buffer(buffer: Any, *, signed: bool) -> int:
    if not _is_filled(buffer):
        return 0
    wide, small = (np.dtype("int64"), np.dtype("int32")) if signed else (np.dtype("uint64"), np.dtype("uint32"))
    values = np.asarray(buffer.data, np.uint8).view(wide)
    low, high = np.iinfo(small).min, np.iinfo(small).max
    buffer.data = np.clip(values, low, high).astype(small).view(np.uint8)
    whole = (np.iinfo(wide).min, np.iinfo(wide).max)  # "to the end", as slices say it
    return int((((values < low) | (values > high)) & ~np.isin(values, whole)).sum())


def _leave_out_casts(model: Any) -> None:
    """Those from 64 to 32 bits are from 32 to 32 bits now, which LiteRT 2.3.0 does not run ("lacks data")."""
    from ai_edge_litert import schema_py_generated as schema

    kinds, cast = (schema.TensorType.INT32, schema.TensorType.UINT32), schema.BuiltinOperator.CAST
    codes = _codes(model)
    for graph in model.subgraphs:
        for operator in [one for one in graph.operators if codes[one.opcodeIndex] == cast]:
            fed, made = int(operator.inputs[0]), int(operator.outputs[0])
            if graph.tensors[fed].type not in kinds or graph.tensors[fed].type != graph.tensors[made].type:
                continue
            given = fed in graph.inputs or _is_filled(model.buffers[graph.tensors[fed].buffer])
            if made in graph.outputs and (given or fed in graph.outputs):
                _make_copy(model, operator)
                continue
            graph.operators.remove(operator)
            old, new = (made, fed) if given or fed in graph.outputs else (fed, made)
            for one in graph.operators:
                one.inputs, one.outputs = _replaced(one.inputs, old, new), _replaced(one.outputs, old, new)


def _make_copy(model: Any, operator: Any) -> None:
    """Two ends of the graph, each with its name, cannot be one tensor: the larger of a number and itself is the number."""
    from ai_edge_litert import schema_py_generated as schema

    operator.opcodeIndex, operator.inputs = new_code(model, schema.BuiltinOperator.MAXIMUM), [operator.inputs[0]] * 2
    operator.builtinOptionsType = schema.BuiltinOptions.MaximumMinimumOptions
    operator.builtinOptions = schema.MaximumMinimumOptionsT()


def new_code(model: Any, builtin: int) -> int:
    from ai_edge_litert import schema_py_generated as schema

    code = schema.OperatorCodeT()
    code.builtinCode = code.deprecatedBuiltinCode = builtin
    model.operatorCodes.append(code)
    return len(model.operatorCodes) - 1


def _codes(model: Any) -> list[int]:
    return [max(code.builtinCode, code.deprecatedBuiltinCode) for code in model.operatorCodes]


def _replaced(places: Any, old: int, new: int) -> Any:
    return np.array([new if place == old else place for place in none_or(places)], np.int32)


def none_or(places: Any) -> Any:
    """The schema's objects have None for an empty vector."""
    return () if places is None else places


def _is_filled(buffer: Any) -> bool:
    return buffer.data is not None and len(buffer.data) > 0


class _Buffer:
    """A buffer that is written where a multiple of :data:`_ALIGNED` bytes stands before it."""

    def __init__(self, buffer: Any) -> None:
        self._buffer = buffer

    def Pack(self, builder: Any) -> Any:  # noqa: N802 - the generated code calls it so
        from ai_edge_litert import schema_py_generated as schema

        if not _is_filled(self._buffer):
            return self._buffer.Pack(builder)
        content = np.asarray(self._buffer.data, np.uint8).tobytes()
        builder.StartVector(1, len(content), _ALIGNED)
        builder.head -= len(content)
        builder.Bytes[builder.head : builder.head + len(content)] = content
        data = builder.EndVector()
        schema.BufferStart(builder)
        schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)
