"""Model formats and the facts of a model file."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import ClassVar

from dynolab.spec.tensors import TensorSpec

_NAME = re.compile(r"[a-z][a-z0-9_]{0,39}", re.ASCII)


def is_format_name(name: object) -> bool:
    """Whether a format may be called so."""
    return isinstance(name, str) and _NAME.fullmatch(name) is not None


class ModelFormat(str):
    """The name of a model format: small letters, digits and ``_``. Those of dynolab's own formats are constants of the class.

    Any valid name is one, also that of a format which an outside distribution declares and which is not known here: a profile
    can be read, shown and compared wherever it is carried. What is known of a format is in :mod:`dynolab.formats`.

    Raises :class:`ValueError` for what is no name of that form.
    """

    __slots__ = ()
    ONNX: ClassVar[ModelFormat]
    ORT: ClassVar[ModelFormat]
    TFLITE: ClassVar[ModelFormat]
    OPENVINO_IR: ClassVar[ModelFormat]
    TORCHSCRIPT: ClassVar[ModelFormat]
    EXPORTED_PROGRAM: ClassVar[ModelFormat]
    QNN_CONTEXT_BINARY: ClassVar[ModelFormat]
    QNN_DLC: ClassVar[ModelFormat]
    PRECOMPILED_QNN_ONNX: ClassVar[ModelFormat]
    AOT_INDUCTOR: ClassVar[ModelFormat]
    MNN: ClassVar[ModelFormat]
    NCNN: ClassVar[ModelFormat]
    EXECUTORCH: ClassVar[ModelFormat]
    NULL: ClassVar[ModelFormat]

    def __new__(cls, name: str) -> ModelFormat:
        if not is_format_name(name):
            raise ValueError(
                f"{str(name)[:100]!r} is no name of a model format: small letters, digits and _, at most 40, the first a letter"
            )
        return super().__new__(cls, name)


ModelFormat.ONNX, ModelFormat.ORT, ModelFormat.TFLITE = map(ModelFormat, ("onnx", "ort", "tflite"))
ModelFormat.OPENVINO_IR, ModelFormat.NULL = map(ModelFormat, ("openvino_ir", "null"))
ModelFormat.TORCHSCRIPT, ModelFormat.EXPORTED_PROGRAM = map(ModelFormat, ("torchscript", "exported_program"))
ModelFormat.QNN_CONTEXT_BINARY, ModelFormat.QNN_DLC = map(ModelFormat, ("qnn_context_binary", "qnn_dlc"))
ModelFormat.MNN, ModelFormat.NCNN, ModelFormat.EXECUTORCH = map(ModelFormat, ("mnn", "ncnn", "executorch"))
ModelFormat.AOT_INDUCTOR = ModelFormat("aot_inductor")
ModelFormat.PRECOMPILED_QNN_ONNX = ModelFormat("precompiled_qnn_onnx")


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
