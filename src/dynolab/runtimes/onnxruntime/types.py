"""ONNX's names and numbers of element types (onnx.proto, TensorProto.DataType)."""

from __future__ import annotations

from typing import Any

from dynolab.spec.tensors import TensorSpec

_NAMES = {
    "float": "float32", "double": "float64", "float8e4m3fn": "float8_e4m3fn", "float8e4m3fnuz": "float8_e4m3fnuz",
    "float8e5m2": "float8_e5m2", "float8e5m2fnuz": "float8_e5m2fnuz", "float8e8m0": "float8_e8m0fnu",
    "float4e2m1": "float4_e2m1fn",
}  # fmt: skip
NUMBERS = {
    "bfloat16": 16, "float8_e4m3fn": 17, "float8_e4m3fnuz": 18, "float8_e5m2": 19, "float8_e5m2fnuz": 20, "uint4": 21,
    "int4": 22, "float4_e2m1fn": 23, "float8_e8m0fnu": 24, "uint2": 25, "int2": 26,
}  # fmt: skip
"""Of those types that ONNX Runtime cannot tell from a numpy array."""


def element_name(onnx_name: str) -> str:
    """dynolab's name of an element type for ONNX's, in lower case."""
    return _NAMES.get(onnx_name, onnx_name)


def is_tensor(kind: str) -> bool:
    """Whether a type as ONNX Runtime writes it is a tensor's."""
    return kind.startswith("tensor(")


def spec(node: Any) -> TensorSpec:
    """dynolab's description of an ONNX Runtime NodeArg."""
    inner = str(node.type).removeprefix("tensor(").removesuffix(")")
    return TensorSpec(node.name, element_name(inner), tuple(node.shape))
