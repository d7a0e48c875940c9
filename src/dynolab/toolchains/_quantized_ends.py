"""Quantised inputs and outputs of a QDQ model, for ``--quantize_io``: the integers that the model makes of real numbers go in and out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import ModelNotSupported
from dynolab.spec.compile_options import CompileOptions
from dynolab.spec.measurements import Notice
from dynolab.spec.tensors import Quantization
from dynolab.toolchains import _onnx_graph as graphs
from dynolab.toolchains import _onnx_model as onnx_model
from dynolab.toolchains.base import Array

OPTIONS = ("quantize_io", "quantize_io_type")
_SHIFTS = {("int8", "uint8"): 128, ("uint8", "int8"): -128}
"""What is added to integers, and to their zero point, so that they stand for the same numbers in the other type."""
_MOVES = ("Transpose", "Reshape")
"""May stand between an input or output and its quantisation: they change no number."""


def quantize(
    path: Path, options: CompileOptions, *, shifts: bool = False
) -> tuple[list[Quantization], tuple[Notice, ...]]:
    """The quantisations of the inputs and outputs that are integers from now on, in the ONNX file, and notices of those that are not.

    ``shifts``: integers of another type than ``--quantize_io_type`` become such, where both have 8 bits; else they are refused.
    Raises :class:`ModelNotSupported`.
    """
    if not options.is_set("quantize_io"):
        return [], without_effect(options)
    model = onnx_model.read(path)
    found = [*_inputs(model), *_outputs(model)]
    if (wanted := options.quantize_io_type) is not None:
        for place, one in enumerate(found):
            found[place] = shifted(one, wanted) if shifts else one
            if found[place].dtype != wanted or (found[place] != one and not _shift(model.graph, one, found[place])):
                raise _of_another_type(one, wanted)
    if found:
        del model.graph.value_info[:]
        onnx_model.write(model, path)
    done = {one.name for one in found}
    ends = [*graphs.fed_inputs(model.graph), *model.graph.output]
    left = [value.name for value in ends if value.name not in done and graphs.element_name(value).startswith("float")]
    text = f"--quantize_io leaves {', '.join(left)} as they are: the model does not quantise them"
    return found, (Notice("info", "not-quantised", text),) if left else ()


def shifted(one: Quantization, wanted: str | None) -> Quantization:
    """The same numbers in integers of the type wanted; None: any. Raises :class:`ModelNotSupported` for others than of 8 bits."""
    if wanted is None or wanted == one.dtype:
        return one
    if (one.dtype, wanted) not in _SHIFTS:
        raise _of_another_type(one, wanted)
    return Quantization(one.name, wanted, one.scale, one.zero_point + _SHIFTS[one.dtype, wanted])


def _of_another_type(one: Quantization, wanted: str) -> ModelNotSupported:
    return ModelNotSupported(
        f"{one.name!r} is quantised as {one.dtype}, and --quantize_io_type asks for {wanted}",
        hint="leave --quantize_io_type out, or quantise the model with activations of that type",
    )


def found(path: Path) -> list[Quantization]:
    """The quantisations of the inputs and outputs that could be integers; the ONNX file stays as it is."""
    model = onnx_model.read(path)
    return [*_inputs(model), *_outputs(model)]


def without_effect(options: CompileOptions) -> tuple[Notice, ...]:
    """A notice of a type that is asked for, where inputs and outputs are not to be quantised."""
    if options.is_set("quantize_io") or "quantize_io_type" not in options.plain:
        return ()
    return (Notice("info", "option-without-effect", "--quantize_io_type has no effect without --quantize_io"),)


def real(arrays: Mapping[str, Array], quantizations: Sequence[Quantization]) -> dict[str, Array]:
    """The same with real numbers in place of integers that stand for them."""
    known = {one.name: one for one in quantizations}
    return {
        name: ((array.astype(np.float32) - known[name].zero_point) * np.float32(known[name].scale))
        if name in known
        else array
        for name, array in arrays.items()
    }


def computes_floats(path: Path) -> bool:
    """Whether a model is a float one: nothing in it is quantised."""
    model = onnx_model.read(path, weights=False)
    return not any(node.op_type in ("QuantizeLinear", "DequantizeLinear") for node in model.graph.node)


def _inputs(model: Any) -> Iterator[Quantization]:
    graph = model.graph
    for value in graphs.fed_inputs(graph):
        name = value.name
        while len(readers := [node for node in graph.node if name in node.input]) == 1 and readers[0].op_type in _MOVES:
            name = readers[0].output[0]
        if readers and all(node.op_type == "QuantizeLinear" for node in readers):
            told = _quantization(graph, value.name, readers[0])
            if told is None or any(_quantization(graph, value.name, node) != told for node in readers):
                continue
            for node in readers:
                _replace(graph, node.output[0], name)
                graph.node.remove(node)
            _retype(value, told.dtype)
            yield told


def _outputs(model: Any) -> Iterator[Quantization]:
    graph = model.graph
    for value in graph.output:
        name, moves = value.name, []
        while (maker := _maker(graph, name)) is not None and maker.op_type in _MOVES and _uses(graph, name) == 1:
            moves.append(maker)
            name = maker.input[0]
        if maker is None or maker.op_type != "DequantizeLinear" or _uses(graph, name) != 1:
            continue
        if (told := _quantization(graph, value.name, maker)) is None:
            continue
        before = maker.input[0]
        graph.node.remove(maker)
        if moves:
            moves[-1].input[0] = before
        elif (source := _maker(graph, before)) is not None:
            source.output[:] = [name if one == before else one for one in source.output]
            _replace(graph, before, name)
        else:
            raise ModelNotSupported(
                f"the output {value.name!r} is an input or a weight, and --quantize_io has nothing to do"
            )
        _retype(value, told.dtype)
        yield told


def _shift(graph: Any, told: Quantization, wanted: Quantization) -> bool:
    """Have an input's or output's integers be of another type, for all that make and read them; False: something reads them otherwise."""
    import onnx

    same, before = {told.name}, 0
    while before != len(same):
        before = len(same)
        for node in graph.node:
            if node.op_type in _MOVES and {node.input[0], node.output[0]} & same:
                same |= {node.input[0], node.output[0]}
    ends = [value for value in (*graph.input, *graph.output) if value.name in same]
    users = [node for node in graph.node if node.op_type not in _MOVES and same & {*node.input, *node.output}]
    plain = ("QuantizeLinear", "DequantizeLinear")
    if len(ends) != 1 or any(one.op_type not in plain or _quantization(graph, told.name, one) != told for one in users):
        return False
    zero, name = np.array(wanted.zero_point, np.dtype(wanted.dtype)), graphs.free(graph, "zero_point")
    graph.initializer.append(onnx.numpy_helper.from_array(zero, name))
    for one in users:
        one.input[2] = name
    _retype(ends[0], wanted.dtype)
    return True


def _quantization(graph: Any, name: str, node: Any) -> Quantization | None:
    """What a node quantises with, of a tensor of this name; None: not with one constant scale and zero point."""
    import onnx

    weights = {tensor.name: tensor for tensor in graph.initializer}
    if len(node.input) < 3 or any(one not in weights for one in node.input[1:3]):
        return None
    scale, zero = (onnx.numpy_helper.to_array(weights[one]) for one in node.input[1:3])
    return (
        Quantization(name, zero.dtype.name, float(scale.reshape(())), int(zero.reshape(())))
        if scale.size == 1
        else None
    )


def _maker(graph: Any, name: str) -> Any:
    return next((node for node in graph.node if name in node.output), None)


def _uses(graph: Any, name: str) -> int:
    """How many nodes and outputs take a value."""
    readers = [node for node in graph.node if name in node.input]
    return len(readers) + len([value for value in graph.output if value.name == name])


def _replace(graph: Any, old: str, new: str) -> None:
    for node in graph.node:
        node.input[:] = [new if one == old else one for one in node.input]


def _retype(value: Any, dtype: str) -> None:
    import onnx

    value.type.tensor_type.elem_type = onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
