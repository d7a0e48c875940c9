"""The float ONNX model that is quantised: optimised, at an opset that has integers of all widths, in forms that the quantisation knows."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import ModelNotSupported
from dynolab.spec.compile_options import CompileOptions
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.toolchains import _onnx_graph as graphs
from dynolab.toolchains import _onnx_model as onnx_model
from dynolab.toolchains.base import Order

OPSET, IR_VERSION = 21, 10
"""The first opset whose own QuantizeLinear and DequantizeLinear hold 16-bit and 4-bit integers (below, ONNX Runtime puts in its own), and
the first version of the file that has it."""
_QUANTISED = ("QuantizeLinear", "DequantizeLinear", "DynamicQuantizeLinear", "QLinearConv", "QLinearMatMul", "ConvInteger", "MatMulInteger")  # fmt: skip


def prepare(source: Path, scratch: Path) -> tuple[Path, tuple[Notice, ...]]:
    """The prepared model's file. Raises :class:`ModelNotSupported` and :class:`~dynolab.errors.ModelInvalid`.

    ONNX Runtime's basic optimisations come first, since what is merged is quantised once.
    """
    import onnx

    model = onnx_model.read(source)
    nodes = [node for one in graphs.graphs(model.graph) for node in one.node]
    if any(node.op_type in _QUANTISED for node in nodes):
        raise ModelNotSupported(f"{source.name} is quantised already", hint="give the float model that it was made of")
    if model.ByteSize() > onnx_model.WEIGHTS_INSIDE_BYTES:
        raise ModelNotSupported(f"{source.name} has more than 1 GB of weights, which is not quantised here")
    place = scratch / "float"
    place.mkdir()
    plain = scratch / source.name
    _fix_weights(model)
    onnx.save_model(model, str(plain))
    order = Order(plain, ModelFormat.ONNX, 0, place, scratch, CompileOptions(), {})
    optimised, _, notices = onnx_model.make(order, place)
    model = _converted(onnx_model.read(optimised), source.name)
    name_nodes(model)
    _flatten_biases(model)
    prepared = scratch / f"opset{OPSET}.onnx"
    onnx.save_model(model, str(prepared))
    return prepared, notices


def _fix_weights(model: Any) -> None:
    """Weights that are listed among the inputs, which a caller may feed others for, are weights alone."""
    fed = graphs.fed_inputs(model.graph)
    del model.graph.input[:]
    model.graph.input.extend(fed)
    model.ir_version = max(model.ir_version, IR_VERSION)  # below 4 all weights are listed


def _converted(model: Any, name: str) -> Any:
    """The model at :data:`OPSET` or above."""
    import onnx

    if onnx_model.opset(model) >= OPSET:
        return model
    errors: tuple[type[Exception], ...] = (onnx.version_converter.ConvertError, RuntimeError, ValueError)
    try:
        model = onnx.version_converter.convert_version(model, OPSET)
    except errors as error:
        reason = str(error).strip().splitlines()[-1][:400] if str(error).strip() else type(error).__name__
        raise ModelNotSupported(
            f"{name} cannot be converted to opset {OPSET}, which quantised models are of: {reason}",
            hint=f"export it with opset {OPSET}",
        ) from error
    model.ir_version = max(model.ir_version, IR_VERSION)
    return model


def name_nodes(model: Any) -> None:
    """Give each node a name of its own, by which it is spoken of."""
    taken: set[str] = set()
    for number, node in enumerate(model.graph.node):
        if not node.name or node.name in taken:
            node.name = f"{node.op_type}_{number}"
            while node.name in taken:
                node.name += "_"
        taken.add(node.name)


def _flatten_biases(model: Any) -> None:
    """A Gemm's bias of shape [1, N] or of one value becomes one of shape [N], the only one that ONNX Runtime quantises."""
    from onnx import numpy_helper

    held = {tensor.name: tensor for tensor in model.graph.initializer}
    for node in model.graph.node:
        if node.op_type != "Gemm" or len(node.input) < 3 or not {node.input[1], node.input[2]} <= held.keys():
            continue
        transposed = any(one.name == "transB" and one.i for one in node.attribute)
        columns = held[node.input[1]].dims[0 if transposed else 1]
        bias = numpy_helper.to_array(held[node.input[2]])
        if (bias.ndim == 1 and bias.size == columns) or bias.size not in (1, columns):
            continue
        flat = np.ascontiguousarray(np.broadcast_to(bias.reshape(-1), (columns,)))
        name = f"{node.name}_flat_bias"
        model.graph.initializer.append(numpy_helper.from_array(flat, name))
        node.input[2] = name
