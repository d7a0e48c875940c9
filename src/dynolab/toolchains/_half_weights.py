"""Weights in half the bytes, for ``--quantize_weight_type float16``: stored as float16, and widened before they are computed with."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dynolab.spec.compile_options import CompileOptions
from dynolab.spec.measurements import Notice
from dynolab.toolchains import _onnx_graph as graphs
from dynolab.toolchains import _onnx_model as onnx_model
from dynolab.toolchains._tflite_model import new_code, none_or
from dynolab.toolchains.base import Array

OPTION = "quantize_weight_type"
LEAST = 16
"""Values: smaller constants, such as factors and bounds, are no weights, and some operators want them as they are."""


def is_asked(options: CompileOptions) -> bool:
    """Whether weights are to be halved."""
    return options.plain.get(OPTION) == "float16"


def halve_onnx(path: Path) -> tuple[Notice, ...]:
    """Halve the weights of an ONNX file; a notice of those that float16 does not hold."""
    import onnx

    model, left = onnx_model.read(path), 0
    for graph in graphs.graphs(model.graph):
        kept = {value.name for value in (*graph.input, *graph.output)} | _scales(graph)
        for tensor in [one for one in graph.initializer if one.data_type == onnx.TensorProto.FLOAT]:
            values = onnx.numpy_helper.to_array(tensor)
            if tensor.name in kept or values.size < LEAST:
                continue
            if (half := _halved(values)) is None:
                left += 1
                continue
            name, narrow = tensor.name, graphs.free(model.graph, tensor.name)
            tensor.CopyFrom(onnx.numpy_helper.from_array(half, narrow))
            graph.node.insert(0, onnx.helper.make_node("Cast", [narrow], [name], to=onnx.TensorProto.FLOAT))
    onnx_model.write(model, path)
    return _notices(left)


def halve_tflite(model: Any) -> tuple[Notice, ...]:
    """Halve the weights of a TFLite model; a notice of those that float16 does not hold."""
    from ai_edge_litert import schema_py_generated as schema

    halved, left, code = set[int](), set[int](), None
    for graph in model.subgraphs:
        ends = {int(place) for place in (*none_or(graph.inputs), *none_or(graph.outputs))}
        for place, tensor in list(enumerate(graph.tensors)):
            data = model.buffers[tensor.buffer].data
            if tensor.type != schema.TensorType.FLOAT32 or data is None or place in ends or len(data) < 4 * LEAST:
                continue
            if tensor.buffer not in halved:
                if (half := _halved(np.asarray(data, np.uint8).view(np.float32))) is None:
                    left.add(tensor.buffer)
                    continue
                model.buffers[tensor.buffer].data = half.view(np.uint8)
                halved.add(tensor.buffer)
            code = new_code(model, schema.BuiltinOperator.DEQUANTIZE) if code is None else code
            _widen_before_use(graph, place, code)
    return _notices(len(left))


def _widen_before_use(graph: Any, place: int, code: int) -> None:
    """An operator between a constant of a TFLite graph, which is float16 from now on, and all that use it."""
    from ai_edge_litert import schema_py_generated as schema

    narrow, wide, operator = graph.tensors[place], schema.TensorT(), schema.OperatorT()
    wide.name, wide.shape, wide.hasRank, wide.type = narrow.name, narrow.shape, narrow.hasRank, narrow.type
    narrow.name, narrow.type = narrow.name + b"_half", schema.TensorType.FLOAT16
    graph.tensors.append(wide)
    new = len(graph.tensors) - 1
    for one in graph.operators:
        one.inputs = np.array([new if used == place else used for used in none_or(one.inputs)], np.int32)
    operator.opcodeIndex, operator.inputs, operator.outputs = code, [place], [new]
    graph.operators.insert(0, operator)


def _scales(graph: Any) -> set[str]:
    """What is no weight: scales of quantisations."""
    return {
        name
        for node in graph.node
        if node.op_type in ("QuantizeLinear", "DequantizeLinear")
        for name in node.input[1:2]
    }


def _halved(values: Array) -> Array | None:
    """The same in float16; None where a finite one would be infinite."""
    with np.errstate(over="ignore"):
        half: Array = values.astype(np.float16)
    return half if np.array_equal(np.isfinite(half), np.isfinite(values)) else None


def _notices(left: int) -> tuple[Notice, ...]:
    text = f"{left} weights hold numbers beyond float16, and stay float32"
    return (Notice("info", "weights-not-halved", text),) if left else ()
