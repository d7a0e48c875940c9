"""Integers that go in and out of a TFLite file, for ``--quantize_io``: those that it makes of real numbers at its ends, or those of its QDQ source."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np

from dynolab.runtimes.litert.schema import DTYPES
from dynolab.spec.measurements import Notice
from dynolab.spec.tensors import Quantization
from dynolab.toolchains._quantized_ends import shifted
from dynolab.toolchains._tflite_model import new_code, none_or

_TYPES = {name: number for number, name in DTYPES.items()}


def take_off(model: Any, graph: Any, names: Sequence[Sequence[str]], wanted: str | None) -> tuple[Notice, ...]:
    """Have the integers go in and out that the first operators make of real numbers, and the last ones make real.

    ``graph``: the one that is run; ``names``: of inputs, and of outputs, in order. Integers of another type than wanted keep an operator, which shifts them. Notices name
    the ends that stay real.
    """
    left = list[str]()
    for number, name in enumerate(names[0]):
        if not _take_input(model, graph, number, name, wanted) and _is_real(graph, graph.inputs[number]):
            left.append(name)
    for number, name in enumerate(names[1]):
        if not _take_output(model, graph, number, name, wanted) and _is_real(graph, graph.outputs[number]):
            left.append(name)
    return not_quantised(left)


def put_on(model: Any, quantizations: Collection[Quantization]) -> None:
    """Have integers go in and out where the model has real numbers, which it computes with inside."""
    from ai_edge_litert import schema_py_generated as schema

    graph, known = model.subgraphs[0], {one.name: one for one in quantizations}
    for kind, places in (("inputs", graph.inputs), ("outputs", graph.outputs)):
        for number, place in enumerate(list(map(int, places))):
            if (told := known.get(graph.tensors[place].name.decode())) is None:
                continue
            new, operator = _copy(graph.tensors[place]), schema.OperatorT()
            _quantize(new, told)
            graph.tensors[place].name += b"_real"
            graph.tensors.append(new)
            outer = len(graph.tensors) - 1
            if kind == "inputs":
                operator.opcodeIndex = new_code(model, schema.BuiltinOperator.DEQUANTIZE)
                operator.inputs, operator.outputs = [outer], [place]
                graph.operators.insert(0, operator)
            else:
                operator.opcodeIndex = new_code(model, schema.BuiltinOperator.QUANTIZE)
                operator.inputs, operator.outputs = [place], [outer]
                graph.operators.append(operator)
            _move(model, graph, kind, number, outer)


def not_quantised(names: Sequence[str]) -> tuple[Notice, ...]:
    """A notice of inputs and outputs that stay real numbers."""
    text = f"--quantize_io leaves {', '.join(names)} as they are: the model does not quantise them"
    return (Notice("info", "not-quantised", text),) if names else ()


def _take_input(model: Any, graph: Any, number: int, name: str, wanted: str | None) -> bool:
    """Whether the input is integers now."""
    place = int(graph.inputs[number])
    readers = [one for one in graph.operators if place in none_or(one.inputs)]
    if len(readers) != 1 or not _is(model, readers[0], "QUANTIZE") or not _is_real(graph, place):
        return False
    inner = int(readers[0].outputs[0])
    if inner in graph.outputs or (own := _told(graph.tensors[inner], name)) is None:
        return False
    told = shifted(own, wanted)
    if told == own:
        _name_as(graph.tensors[inner], graph.tensors[place])
        graph.operators.remove(readers[0])
        _move(model, graph, "inputs", number, inner)
    else:
        _quantize(graph.tensors[place], told)
    return True


def _take_output(model: Any, graph: Any, number: int, name: str, wanted: str | None) -> bool:
    """Whether the output is integers now."""
    from ai_edge_litert import schema_py_generated as schema

    place = int(graph.outputs[number])
    makers = [one for one in graph.operators if place in one.outputs]
    read = any(place in none_or(one.inputs) for one in graph.operators)
    if len(makers) != 1 or read or not _is(model, makers[0], "DEQUANTIZE"):
        return False
    inner = int(makers[0].inputs[0])
    if inner in (*graph.inputs, *graph.outputs) or (own := _told(graph.tensors[inner], name)) is None:
        return False
    told = shifted(own, wanted)
    if told == own:
        _name_as(graph.tensors[inner], graph.tensors[place])
        graph.operators.remove(makers[0])
        _move(model, graph, "outputs", number, inner)
    else:
        makers[0].opcodeIndex = new_code(model, schema.BuiltinOperator.QUANTIZE)
        makers[0].builtinOptionsType, makers[0].builtinOptions = schema.BuiltinOptions.NONE, None
        _quantize(graph.tensors[place], told)
    return True


def _is(model: Any, operator: Any, name: str) -> bool:
    from ai_edge_litert import schema_py_generated as schema

    code = model.operatorCodes[operator.opcodeIndex]
    return bool(max(code.builtinCode, code.deprecatedBuiltinCode) == getattr(schema.BuiltinOperator, name))


def _is_real(graph: Any, place: int) -> bool:
    return DTYPES[graph.tensors[place].type].startswith("float")


def _told(tensor: Any, name: str) -> Quantization | None:
    """How the tensor's integers stand for real numbers; None: not with one scale and zero point."""
    told = tensor.quantization
    if told is None or told.scale is None or len(told.scale) != 1:
        return None
    zero = 0 if told.zeroPoint is None else int(told.zeroPoint[0])
    return Quantization(name, DTYPES[tensor.type], float(told.scale[0]), zero)


def _quantize(tensor: Any, told: Quantization) -> None:
    from ai_edge_litert import schema_py_generated as schema

    tensor.type = _TYPES[told.dtype]
    tensor.quantization = schema.QuantizationParametersT()
    tensor.quantization.scale, tensor.quantization.zeroPoint = [told.scale], [told.zero_point]


def _name_as(tensor: Any, other: Any) -> None:
    """Have a tensor take another one's place: its name, and which of its dimensions are open."""
    tensor.name, tensor.shape, tensor.shapeSignature = other.name, other.shape, other.shapeSignature


def _copy(tensor: Any) -> Any:
    """Another tensor of this name, shape and type, without a value."""
    from ai_edge_litert import schema_py_generated as schema

    new = schema.TensorT()
    new.name, new.shape, new.shapeSignature, new.hasRank = (
        tensor.name,
        tensor.shape,
        tensor.shapeSignature,
        tensor.hasRank,
    )
    new.type, new.buffer = tensor.type, 0
    return new


def _move(model: Any, graph: Any, kind: str, number: int, place: int) -> None:
    """Have an input or output be another tensor, in the graph and its signatures."""
    places = getattr(graph, kind)
    old = int(places[number])
    places = np.array(places, np.int32)
    places[number] = place
    setattr(graph, kind, places)
    index = next(number for number, one in enumerate(model.subgraphs) if one is graph)
    for one in (one for one in none_or(model.signatureDefs) if one.subgraphIndex == index):
        for entry in none_or(getattr(one, kind)):
            if entry.tensorIndex == old:
                entry.tensorIndex = place
