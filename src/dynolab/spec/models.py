"""Model formats and the facts of a model file."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from dynolab.spec.tensors import TensorSpec


class ModelFormat(StrEnum):
    """The formats dynolab tells apart, by what stands in the file rather than by its name alone."""

    ONNX = "onnx"
    ORT = "ort"
    TFLITE = "tflite"
    OPENVINO_IR = "openvino_ir"
    TORCHSCRIPT = "torchscript"
    EXPORTED_PROGRAM = "exported_program"
    QNN_CONTEXT_BINARY = "qnn_context_binary"
    QNN_DLC = "qnn_dlc"
    PRECOMPILED_QNN_ONNX = "precompiled_qnn_onnx"
    NULL = "null"


EXTENSIONS: dict[str, ModelFormat] = {
    ".onnx": ModelFormat.ONNX,
    ".ort": ModelFormat.ORT,
    ".tflite": ModelFormat.TFLITE,
    ".xml": ModelFormat.OPENVINO_IR,
    ".pt": ModelFormat.TORCHSCRIPT,
    ".jit": ModelFormat.TORCHSCRIPT,
    ".pt2": ModelFormat.EXPORTED_PROGRAM,
    ".null": ModelFormat.NULL,
}


NAMED_EXTENSIONS: dict[str, ModelFormat] = {".bin": ModelFormat.QNN_CONTEXT_BINARY, ".dlc": ModelFormat.QNN_DLC}
"""Endings of files that are taken for a model only where they are named themselves: ``.bin`` is OpenVINO's weights as well, and
beside either of them lies what it was made from."""


@dataclass(frozen=True, slots=True)
class FileFact:
    """One file: its path relative to the model's (or the cache's) folder, and its size."""

    path: str
    bytes: int


@dataclass(frozen=True, slots=True)
class ModelFacts:
    """What a model file says of itself; None stands for what it does not tell, with the reason in ``unknown``."""

    name: str
    format: ModelFormat
    sha256: str
    file_bytes: int
    files: tuple[FileFact, ...] = ()
    parameters: int | None = None
    parameter_bytes: int | None = None
    schema: str | None = None
    """The version of the format, such as ``opset 17``."""
    precision: str | None = None
    """Element types of the weights by share of bytes, such as ``float32`` or ``int8 93 %, int32 7 %``."""
    operators: int | None = None
    multiply_accumulates: int | None = None
    producer: str | None = None
    unknown: dict[str, str] | None = None
    """Reason by field name for each None."""


@dataclass(frozen=True, slots=True)
class Description:
    """What a runtime reads from a model file before loading it: declared inputs and outputs, and partial facts."""

    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    parameters: int | None = None
    parameter_bytes: int | None = None
    schema: str | None = None
    precision: str | None = None
    operators: int | None = None
    multiply_accumulates: int | None = None
    producer: str | None = None
    unknown: dict[str, str] | None = None
