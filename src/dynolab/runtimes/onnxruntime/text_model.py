"""A model of one constant text, written without the package onnx, which a device need not have."""

from __future__ import annotations

from collections.abc import Sequence

_STRING = 8
"""TensorProto.DataType.STRING."""
_TENSOR = 4
"""AttributeProto.AttributeType.TENSOR."""
_IR, _OPSET = 8, 13


def text_model(texts: Sequence[bytes], shape: Sequence[int]) -> bytes:
    """An ONNX file whose output ``y`` is this tensor of texts. Source: onnx.proto3's field numbers."""
    dims = b"".join(_number(1, size) for size in shape)
    tensor = dims + _number(2, _STRING) + b"".join(_bytes(6, one) for one in texts) + _bytes(8, b"text")
    value = _bytes(1, b"value") + _bytes(5, tensor) + _number(20, _TENSOR)
    node = _bytes(2, b"y") + _bytes(4, b"Constant") + _bytes(5, value)
    output = _bytes(1, b"y") + _bytes(2, _bytes(1, _number(1, _STRING)))
    graph = _bytes(1, node) + _bytes(2, b"text") + _bytes(12, output)
    return _number(1, _IR) + _bytes(7, graph) + _bytes(8, _number(2, _OPSET))


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _varint(value: int) -> bytes:
    """Protocol buffers' integer of as many bytes as it takes (Encoding: Base 128 Varints)."""
    parts = bytearray()
    while value > 0x7F:
        parts.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*parts, value])
