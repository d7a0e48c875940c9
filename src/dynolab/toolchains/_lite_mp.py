"""Mixed precision of an ONNX model: the layers that lose most when they alone are quantised keep a wider type."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Any

from dynolab.toolchains import _numbers as numbers
from dynolab.toolchains import _onnx_model as onnx_model
from dynolab.toolchains.base import Array

SAMPLES = 8
"""Of the calibration, that each layer's loss is measured on."""
_WITH_WEIGHTS = ("Conv", "ConvTranspose", "Gemm", "MatMul")
INT16, FLOAT = "int16", "fp16"


@dataclass(frozen=True, slots=True)
class Kept:
    """What is not quantised as the others are."""

    floating: tuple[str, ...] = ()
    """Nodes that stay floating-point."""
    overrides: Mapping[str, Any] | None = None
    """ONNX Runtime's overrides of single tensors."""
    only: tuple[str, ...] = ()
    """If any: the nodes that alone are quantised."""


def layers(model: Any) -> list[str]:
    """Names of the nodes that hold weights."""
    held = {tensor.name for tensor in model.graph.initializer}
    return [
        node.name
        for node in model.graph.node
        if node.op_type in _WITH_WEIGHTS and any(name in held for name in node.input)
    ]


def most_sensitive(
    source: Path,
    quantize: Callable[[Kept], Path],
    samples: Sequence[Mapping[str, Array]],
    percentage: int,
) -> list[str]:
    """So many percent of the layers, one at least: those after whose quantising alone the least PSNR of an output is least."""
    session = onnx_model.open_session(source)
    names = [node.name for node in session.get_outputs()]
    fed = samples[:SAMPLES]
    wanted = [onnx_model.runner(session)(sample) for sample in fed]
    every = layers(onnx_model.read(source))
    losses: dict[str, float] = {}
    for layer in every:
        run = onnx_model.runner(onnx_model.open_session(quantize(Kept(only=(layer,)))))
        running = numbers.Comparison(names)
        for sample, before in zip(fed, wanted, strict=True):
            running.add(before, run(sample))
        told = [one.psnr_db for one in running.checks() if one.psnr_db is not None]
        losses[layer] = min(told, default=float("inf"))
    count = min(len(every), ceil(len(every) * percentage / 100))
    return sorted(every, key=losses.__getitem__)[:count]


def kept(model: Any, chosen: Sequence[str], kind: str, narrow: Any, wide: Any) -> Kept:
    """What these layers keep: floating point, or activations of the type ``wide`` going in and out."""
    if kind == FLOAT:
        return Kept(floating=tuple(chosen))
    from onnxruntime.quantization.execution_providers.qnn import mixed_precision_overrides_utils as mixed
    from onnxruntime.quantization.tensor_quant_overrides import TensorQuantOverridesHelper

    held = {tensor.name for tensor in model.graph.initializer}
    nodes = [node for node in model.graph.node if node.name in chosen]
    tensors = {name for node in nodes for name in (*node.input, *node.output) if name and name not in held}
    overrides = TensorQuantOverridesHelper({name: [{"quant_type": wide}] for name in sorted(tensors)})
    fixer = mixed.MixedPrecisionTensorQuantOverridesFixer.create_from_model(overrides, model, narrow)
    fixer.apply(default_activation_qtype=narrow, default_activation_symmetric=False)
    return Kept(overrides=overrides.get_dict())
