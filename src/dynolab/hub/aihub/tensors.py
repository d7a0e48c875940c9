"""Tensors as the official client knows them. It raises at an element type that it does not know, and then for a whole list."""

from __future__ import annotations

from typing import Any

from dynolab.errors import SpecInvalid
from dynolab.hub.aihub.wire import public_api_pb2 as pb
from dynolab.spec import codec
from dynolab.spec.compiles import InputSpec
from dynolab.spec.tensors import Quantization, TensorSpec

DTYPES = {
    "float32": pb.TENSOR_DTYPE_FLOAT32,
    "int32": pb.TENSOR_DTYPE_INT32,
    "int64": pb.TENSOR_DTYPE_INT64,
    "int8": pb.TENSOR_DTYPE_INT8,
    "uint8": pb.TENSOR_DTYPE_UINT8,
    "int16": pb.TENSOR_DTYPE_INT16,
    "uint16": pb.TENSOR_DTYPE_UINT16,
    "float16": pb.TENSOR_DTYPE_FLOAT16,
    "bool": pb.TENSOR_DTYPE_BOOL,
}
"""The protocol's TensorDtype; it has no others."""
NAMES = {number: name for name, number in DTYPES.items()}
OPEN = -1
"""An open dimension."""


def tensor_types(tensors: Any, side: str) -> pb.NamedTensorTypeList | None:
    """The ``inputs`` or ``outputs`` of a :class:`dynolab.spec.agents.Tensors` as it is kept, with scale and zero point of integers.

    None where there are none, or one that the protocol cannot say.
    """
    known = tensors if isinstance(tensors, dict) else {}
    if not known.get(side):
        return None
    specs = codec.decode(tuple[TensorSpec, ...], known[side], "the tensors that are kept")
    told = codec.decode(tuple[Quantization, ...], known.get("quantizations", []), "the quantisations that are kept")
    integers = {one.name: one for one in told}
    found = pb.NamedTensorTypeList()
    for tensor in specs:
        shape = [size if isinstance(size, int) else OPEN for size in tensor.shape]
        if tensor.dtype not in DTYPES or not all(-(1 << 63) <= size < 1 << 63 for size in shape):
            return None
        kind = found.types.add(name=tensor.name, tensor_type=pb.TensorType(shape=shape, dtype=DTYPES[tensor.dtype]))
        if (one := integers.get(tensor.name)) is not None:
            kind.tensor_type.scale, kind.tensor_type.zero_point = one.scale, one.zero_point
    return found


def input_specs(given: pb.NamedTensorTypeList) -> dict[str, InputSpec]:
    """The inputs that a compile job asks for, in their order. Raises :class:`SpecInvalid` for what cannot be compiled."""
    found: dict[str, InputSpec] = {}
    for one in given.types:
        if one.tensor_type.dtype not in NAMES:
            raise SpecInvalid(f"input {one.name!r}: the element type {one.tensor_type.dtype} is not known")
        if one.name in found:
            raise SpecInvalid(f"input {one.name!r} is named twice", hint="name each input once")
        found[one.name] = InputSpec(tuple(one.tensor_type.shape), NAMES[one.tensor_type.dtype])
    return found


def named_types(document: list[dict[str, Any]]) -> pb.NamedTensorTypeList:
    """The input specs of a job's row, those that the protocol can say."""
    found = pb.NamedTensorTypeList()
    for one in document:
        if one["dtype"] in DTYPES:
            found.types.add(name=one["name"], tensor_type=pb.TensorType(shape=one["shape"], dtype=DTYPES[one["dtype"]]))
    return found


def tell_specs(model: pb.Model, tensors: Any) -> None:
    """What the model takes and gives, where that is known: both sides or none."""
    inputs, outputs = tensor_types(tensors, "inputs"), tensor_types(tensors, "outputs")
    if inputs is not None and outputs is not None:
        model.input_spec.CopyFrom(inputs)
        model.output_spec.CopyFrom(outputs)
