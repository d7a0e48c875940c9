"""What a .tflite file says of itself: inputs, outputs, facts, and whether LiteRT can run it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

from dynolab.errors import ModelNotSupported
from dynolab.runtimes.litert.schema import FileTensor, Operation, TfliteFile, read
from dynolab.spec.models import Description
from dynolab.spec.tensors import TensorSpec

CUSTOM_OPERATORS = frozenset(
    {
        "AudioSpectrogram", "Mfcc", "NumericVerify", "TFLite_Detection_PostProcess",  # the operator resolver's own
        "Convolution2DTransposeBias", "MaxPoolingWithArgmax2D", "MaxUnpooling2D",  # XNNPACK's (MediaPipe)
    }
)  # fmt: skip
"""Custom operators that ai-edge-litert 2.3.0 brings, each tried: any other is "unresolved" there."""
_FEEDABLE = {
    "bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "float16", "bfloat16", "float32",
    "float64", "complex64",
}  # fmt: skip
_NO_WEIGHTS = {"string", "resource", "variant"}
_WITHOUT_FORMULA = {
    "LSTM", "UNIDIRECTIONAL_SEQUENCE_LSTM", "BIDIRECTIONAL_SEQUENCE_LSTM", "RNN", "UNIDIRECTIONAL_SEQUENCE_RNN",
    "BIDIRECTIONAL_SEQUENCE_RNN", "SVDF", "CONV_3D_TRANSPOSE", "STABLEHLO_CONVOLUTION", "STABLEHLO_DOT_GENERAL",
    "STABLEHLO_COMPOSITE", "STABLEHLO_WHILE", "STABLEHLO_CASE", "IF", "WHILE", "CALL",
}  # fmt: skip
"""Operators that multiply, or run another graph, and whose count does not follow from the shapes alone."""


def describe(path: Path, shapes: Mapping[str, tuple[int, ...]], signature: str | None = None) -> Description:
    """Declared inputs and outputs, and the facts; multiply-accumulates where the file's own shapes hold for ``shapes``.

    Raises :class:`~dynolab.errors.ModelInvalid` for a damaged file, :class:`ModelNotSupported` for a custom operator
    or an element type that LiteRT does not have.
    """
    file = read(path, signature)
    check_operators(file)
    inputs, outputs = (
        _specs(file, file.main.inputs, file.input_names),
        _specs(file, file.main.outputs, file.output_names),
    )
    parameters, by_type = _parameters(file)
    macs, reason = _multiply_accumulates(file, shapes)
    facts = {"multiply_accumulates": reason, "producer": None if file.description else "the file names none"}
    runtime = f", needs TFLite {file.minimum_runtime}" if file.minimum_runtime else ""
    return Description(
        inputs=inputs,
        outputs=outputs,
        parameters=parameters,
        parameter_bytes=sum(by_type.values()),
        schema=f"TFLite schema {file.version}{runtime}",
        precision=_shares(by_type),
        operators=sum(len(graph.operations) for graph in file.graphs),
        multiply_accumulates=macs,
        producer=file.description or None,
        unknown={name: why for name, why in facts.items() if why} or None,
    )


def check_operators(file: TfliteFile) -> None:
    """Raises :class:`ModelNotSupported`, naming the custom operators that LiteRT does not bring."""
    custom = {item.name for graph in file.graphs for item in graph.operations if item.custom}
    missing = sorted(custom - CUSTOM_OPERATORS)
    if missing:
        raise ModelNotSupported(
            f"the model has custom operators that LiteRT does not bring: {', '.join(missing)}",
            hint="convert it without them; an app that runs it registers kernels of its own for them",
        )


def _specs(file: TfliteFile, tensors: Sequence[int], names: Sequence[str]) -> tuple[TensorSpec, ...]:
    found = [file.main.tensors[index] for index in tensors]
    for name, tensor in zip(names, found, strict=True):
        if tensor.dtype not in _FEEDABLE:
            raise ModelNotSupported(
                f"{name!r} is a {tensor.dtype} tensor: inputs and outputs must be numbers or booleans",
                hint=f"put what makes or reads the {tensor.dtype} outside of the model",
            )
    if "" in names or len(set(names)) < len(names):
        raise ModelNotSupported(
            f"inputs or outputs share a name or have none: {', '.join(map(repr, names))}",
            hint="give the model a signature: LiteRT knows tensors by their names in it",
        )
    return tuple(TensorSpec(name, item.dtype, item.declared) for name, item in zip(names, found, strict=True))


def _parameters(file: TfliteFile) -> tuple[int, Counter[str]]:
    """Elements of all constant tensors, and their bytes by type; a buffer that several tensors share counts once."""
    elements, by_type, seen = 0, Counter[str](), set[int]()
    for tensor in (tensor for graph in file.graphs for tensor in graph.tensors):
        size = file.buffer_bytes[tensor.buffer]
        if size and tensor.buffer not in seen and tensor.dtype not in _NO_WEIGHTS:
            seen.add(tensor.buffer)
            elements += prod(tensor.shape)
            by_type[tensor.dtype] += size
    return elements, by_type


def _shares(by_type: Mapping[str, int]) -> str | None:
    """Element types by share of bytes, the largest first; types under 1 % are left out."""
    total = sum(by_type.values())
    shown = [(name, size / total) for name, size in Counter(by_type).most_common() if size / total >= 0.01]
    return shown[0][0] if len(shown) == 1 else ", ".join(f"{name} {share:.0%}" for name, share in shown) or None


def shapes_hold(file: TfliteFile, shapes: Mapping[str, tuple[int, ...]]) -> bool:
    """Whether the shapes in the file are those of a run on ``shapes``; an input without one counts as declared."""
    inputs = zip(file.input_names, (file.main.tensors[index] for index in file.main.inputs), strict=True)
    return all(shapes.get(name, tensor.declared) == tensor.shape for name, tensor in inputs)


def _multiply_accumulates(file: TfliteFile, shapes: Mapping[str, tuple[int, ...]]) -> tuple[int | None, str | None]:
    """Sum over the main graph's convolutions and matrix products, or None with the reason."""
    if not shapes_hold(file, shapes):
        if not shapes:
            return None, "no shapes are bound yet"
        return None, "the shapes between the operators stand in the file for other input shapes only"
    total = 0
    for item in file.main.operations:
        if item.custom or item.name in _WITHOUT_FORMULA:
            return None, f"the file does not tell how much {item.name} computes"
        part = _operation_macs(item, file.main.tensors)
        if part is None:
            return None, f"the file does not tell the shapes of {item.name}"
        total += part
    return total, None


def _operation_macs(item: Operation, tensors: Sequence[FileTensor]) -> int | None:
    """Multiply-accumulates of one operator: 0 for those that have none, None where a shape is missing.

    Layouts of weights as TFLite's kernels document them: convolution [out, height, width, in], depthwise
    [1, height, width, out], fully connected [out, in], transposed convolution [out, height, width, in].
    """
    if item.name not in _WEIGHTS:
        return 0
    data, weights = (tensors[item.inputs[place]].shape for place in _WEIGHTS[item.name] if place < len(item.inputs))
    out = tensors[item.outputs[0]].shape
    if not weights or min((*data, *weights, *out)) < 0:
        return None
    if item.name == "DEPTHWISE_CONV_2D":
        return prod(out) * prod(weights[1:-1])
    if item.name == "TRANSPOSE_CONV":
        return prod(data) * prod(weights[:-1])
    if item.name == "CONV_3D":  # [depth, height, width, in, out]
        return prod(out) * prod(weights[:-1])
    if item.name == "BATCH_MATMUL":  # the rows of ``data`` are its last dimension but one, or its last when transposed
        return prod(out) * (data[-1] * data[-2] // max(out[-2], 1)) if min(len(data), len(out)) > 1 else None
    return prod(out) * prod(weights[1:])


_WEIGHTS = {
    "CONV_2D": (0, 1), "DEPTHWISE_CONV_2D": (0, 1), "FULLY_CONNECTED": (0, 1), "BATCH_MATMUL": (0, 1), "CONV_3D": (0, 1),
    "TRANSPOSE_CONV": (2, 1),
}  # fmt: skip
"""Places of data and weights among an operator's inputs."""
