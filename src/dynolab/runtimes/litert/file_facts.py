"""What a .tflite file says of itself: inputs, outputs, facts, and whether LiteRT can run it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path

from dynolab.errors import ModelNotSupported
from dynolab.runtimes.litert import macs
from dynolab.runtimes.litert.schema import TfliteFile, read
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
    multiplied, reason = _multiply_accumulates(file, shapes)
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
        multiply_accumulates=multiplied,
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
    return macs.count(file.main)
