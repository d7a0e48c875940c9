"""What an ONNX file says of itself, read with the ``onnx`` library."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path
from typing import Any

from dynolab.errors import ModelInvalid, ModelNotSupported, PluginMissing, SpecInvalid
from dynolab.runtimes.base import install_command
from dynolab.runtimes.onnxruntime import macs as macs_module
from dynolab.runtimes.onnxruntime import types
from dynolab.spec.models import Description
from dynolab.spec.tensors import ELEMENT_BYTES, Dimension, TensorSpec

_THINGS = {
    "sequence_type": "sequence", "map_type": "map", "optional_type": "value that may be missing (ONNX: optional)",
    "sparse_tensor_type": "sparse tensor", "opaque_type": "value of a type of its own",
}  # fmt: skip
"""What a value may be besides a tensor, by onnx.proto's names."""


def describe(path: Path, shapes: Mapping[str, tuple[int, ...]]) -> Description:
    """Declared inputs and those outputs that are tensors, and the facts; multiply-accumulates for ``shapes``, where they are given.

    Raises :class:`ModelInvalid` for a file that is no ONNX model, :class:`ModelNotSupported` for inputs that are no
    tensors.
    """
    model = _open(path)
    graph = model.graph
    weights = {tensor.name for tensor in graph.initializer}
    weights |= {tensor.values.name for tensor in graph.sparse_initializer}
    inputs = tuple(_input(value, shapes) for value in graph.input if value.name not in weights)
    outputs = tuple(_spec(value) for value in graph.output if value.type.WhichOneof("value") == "tensor_type")
    parameters, by_type = _parameters(graph)
    macs, reason = macs_module.count(model, shapes) if shapes or not inputs else (None, "no shapes are bound yet")
    return Description(
        inputs=inputs,
        outputs=outputs,
        parameters=parameters,
        parameter_bytes=int(sum(by_type.values())),
        schema=_schema(model),
        precision=_shares(by_type),
        operators=len(graph.node),
        multiply_accumulates=macs,
        producer=" ".join(part for part in (model.producer_name, model.producer_version) if part) or None,
        unknown={"multiply_accumulates": reason} if macs is None and reason else None,
    )


def describe_ort(inputs: Sequence[Any], outputs: Sequence[Any]) -> Description:
    """Inputs and outputs of an ``.ort`` file as a session tells them: nobody but ONNX Runtime reads the format.

    Raises :class:`ModelNotSupported` for inputs that are no tensors.
    """
    for node in inputs:
        if not types.is_tensor(node.type):
            raise _no_tensor(node.name, node.type)
    told = ("parameters", "parameter_bytes", "schema", "precision", "operators", "multiply_accumulates", "producer")
    return Description(
        inputs=tuple(types.spec(node) for node in inputs),
        outputs=tuple(types.spec(node) for node in outputs if types.is_tensor(node.type)),
        unknown=dict.fromkeys(told, "ONNX Runtime tells nothing of what is inside an .ort file"),
    )


def _open(path: Path) -> Any:
    try:
        import onnx
        from google.protobuf.message import DecodeError
    except ModuleNotFoundError as error:
        raise PluginMissing(
            f"the module {error.name} is needed to read ONNX files", hint=install_command("onnxruntime")
        ) from error
    try:
        model = onnx.load(str(path), load_external_data=False)
    except (DecodeError, ValueError) as error:
        raise ModelInvalid(f"{path.name} is not an ONNX model: {error}") from error
    if not model.HasField("graph") or not model.ir_version:
        raise ModelInvalid(f"{path.name} is not an ONNX model: it holds no graph")
    return model


def _schema(model: Any) -> str:
    opsets = [f"{entry.domain or 'ai.onnx'} {entry.version}" for entry in model.opset_import]
    return f"IR {model.ir_version}, opset {', '.join(opsets)}"


def _dtype(number: int) -> str:
    import onnx

    return types.element_name(str(onnx.TensorProto.DataType.Name(number)).lower())


def _input(value: Any, shapes: Mapping[str, tuple[int, ...]]) -> TensorSpec:
    """An input as declared. Raises :class:`SpecInvalid` where not even the number of dimensions is, and none was asked for."""
    spec = _spec(value)
    if value.type.tensor_type.HasField("shape"):
        return spec
    if value.name not in shapes:
        raise SpecInvalid(
            f"the model does not say how many dimensions its input {value.name!r} has",
            hint=f"give its shape, for example --input-shape {value.name}=1,16",
        )
    return replace(spec, shape=shapes[value.name])


def _spec(value: Any) -> TensorSpec:
    kind = value.type.WhichOneof("value")
    if kind != "tensor_type":
        raise _no_tensor(value.name, _THINGS.get(kind, "value of unknown type"))
    tensor = value.type.tensor_type
    shape = tuple(dimension(dim) for dim in tensor.shape.dim) if tensor.HasField("shape") else ()
    return TensorSpec(value.name, _dtype(tensor.elem_type), shape)


def _no_tensor(name: str, kind: str) -> ModelNotSupported:
    return ModelNotSupported(
        f"input {name!r} is a {kind}: only tensors can be fed", hint="export the model with tensors as inputs"
    )


def dimension(dim: Any) -> Dimension:
    """A size, the name of an open dimension, or None for one without a name."""
    if dim.HasField("dim_value"):
        return int(dim.dim_value) if dim.dim_value >= 0 else None
    name = dim.dim_param.strip()
    return None if name in ("", "?", "None") else name


def _tensors(graph: Any) -> Iterable[Any]:
    """Weights of a graph: initializers (sparse ones by their values) and Constant nodes, those of subgraphs included."""
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.HasField("t"):
                yield attribute.t
            for inner in [attribute.g] if attribute.HasField("g") else attribute.graphs:
                yield from _tensors(inner)


def _parameters(graph: Any) -> tuple[int, Counter[str]]:
    count, by_type = 0, Counter[str]()
    for tensor in _tensors(graph):
        elements, dtype = prod(tensor.dims), _dtype(tensor.data_type)
        count += elements
        by_type[dtype] += int(elements * ELEMENT_BYTES.get(dtype, 1))
    return count, by_type


def _shares(by_type: Mapping[str, int]) -> str | None:
    """Element types by share of bytes, the largest first; types under 1 % are left out."""
    total = sum(by_type.values())
    if not total:
        return None
    rows = sorted(by_type.items(), key=lambda item: -item[1])
    shown = [(name, size / total) for name, size in rows if size / total >= 0.01]
    return shown[0][0] if len(shown) == 1 else ", ".join(f"{name} {share:.0%}" for name, share in shown)
