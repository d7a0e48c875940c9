"""ONNX to ONNX with QuantizeLinear and DequantizeLinear (QDQ) at opset 21, by ONNX Runtime's quantisation."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynolab.errors import ModelInvalid, ModelNotSupported, SpecInvalid
from dynolab.runtimes.onnxruntime.session import library_errors
from dynolab.runtimes.onnxruntime.types import is_tensor, spec
from dynolab.spec.measurements import Notice
from dynolab.spec.quantize_options import QuantizeOptions
from dynolab.spec.tensors import Quantization, TensorSpec
from dynolab.toolchains import _lite_mp as lite_mp
from dynolab.toolchains import _onnx_float as onnx_float
from dynolab.toolchains import _onnx_graph as graphs
from dynolab.toolchains import _onnx_model as onnx_model
from dynolab.toolchains import _ranges as ranges
from dynolab.toolchains import _runs as runs
from dynolab.toolchains._quantizers.base import Model, QuantizedModel, QuantizeOrder, Quantizer, Sample

_TYPES = {"int8": "QInt8", "int4": "QInt4"}
_ACTIVATION_TYPES = {"int8": "QUInt8", "int16": "QUInt16"}
"""Unsigned with a zero point, as AI Hub makes them and QNN takes them."""

_MADE_FOR_OTHERS = (ValueError, KeyError, TypeError, IndexError, AttributeError, AssertionError, NotImplementedError)
"""What ONNX Runtime's quantisation, which is Python, raises for graphs that nobody tried it on."""
_LEVELS = {"int8": (1 << 8) - 1, "int16": (1 << 16) - 1}


class OnnxQuantizer(Quantizer):
    """Weights symmetric and per channel, activations asymmetric and per tensor; what has no integer form stays float."""

    name = "onnx"
    needs = ("onnx", "onnxruntime")
    types = (("int8", "int8"), ("int8", "int16"), ("int4", "int8"), ("int4", "int16"))
    options = ("range_scheme", "lite_mp")

    def check(self, weights: str, activations: str, options: QuantizeOptions) -> None:
        """As the base says."""
        super().check(weights, activations, options)
        asked = options.groups.get("lite_mp")
        if asked is None:
            return
        if "percentage" not in asked or int(asked["percentage"]) > 100:
            raise SpecInvalid(
                "--lite_mp needs a percentage from 1 to 100", hint='--lite_mp "percentage=10;override_qtype=int16"'
            )
        if activations == "int16" and asked.get("override_qtype", lite_mp.INT16) == lite_mp.INT16:
            raise ModelNotSupported(
                "--lite_mp override_qtype=int16 has no effect where all activations are int16",
                hint="leave it out, or give --activations int8",
            )

    def inputs(self, order: QuantizeOrder) -> tuple[TensorSpec, ...]:
        """As the base says."""
        return tuple(spec(node) for node in onnx_model.open_session(order.model).get_inputs())

    def quantize(self, order: QuantizeOrder, samples: Sequence[Sample]) -> QuantizedModel:
        """As the base says. ``auto`` is ``mse_minimizer`` for 8-bit activations, which it gains, and ``min_max`` for 16-bit ones."""
        source, notices = onnx_float.prepare(order.model, order.scratch)
        scheme = order.options.range_scheme
        if scheme == "auto":
            scheme = "mse_minimizer" if order.activations == "int8" else "min_max"
        levels = None if scheme == "min_max" else _LEVELS[order.activations]
        found = ranges.find(source, order.scratch, samples, levels)
        target = order.folder / f"{Path(order.model.name).stem}.onnx"
        kept, told = _kept(source, order, found, samples)
        _quantize(source, target, order, found, kept)
        session, model = onnx_model.open_session(target), onnx_model.read(target)
        if not any(node.op_type == "QuantizeLinear" for node in model.graph.node):
            raise ModelNotSupported(
                f"{order.model.name} has no operator that is quantised",
                hint="convolutions, matrix products and what stands between them are",
            )
        return QuantizedModel(
            entry=target.name,
            range_scheme=scheme,
            inputs=tuple(spec(node) for node in session.get_inputs()),
            outputs=tuple(spec(node) for node in session.get_outputs() if is_tensor(node.type)),
            output_names=tuple(node.name for node in session.get_outputs()),
            quantizations=tuple(_quantizations(model)),
            source=runs.side("onnxruntime", order.model, order.format, order.file_bytes, order.scratch),
            quantized=runs.side("onnxruntime", target, order.format, runs.size_of(order.folder), order.scratch),
            notices=(*notices, *told),
        )

    def open_float(self, order: QuantizeOrder) -> Model:
        """As the base says; without optimisations."""
        return onnx_model.runner(onnx_model.open_session(order.model))

    def open_quantized(self, order: QuantizeOrder, made: QuantizedModel, *, exact: bool) -> Model:
        """As the base says: without optimisations each operator computes in float between its two quantisations."""
        opened = onnx_model.open_session(order.folder / made.entry, "ORT_DISABLE_ALL" if exact else "ORT_ENABLE_ALL")
        return onnx_model.runner(opened)


def _kept(
    source: Path, order: QuantizeOrder, found: ranges.Ranges, samples: Sequence[Sample]
) -> tuple[lite_mp.Kept, tuple[Notice, ...]]:
    """What ``--lite_mp`` keeps from being quantised as the rest is, and a notice that names it."""
    asked = order.options.groups.get("lite_mp")
    if asked is None:
        return lite_mp.Kept(), ()
    from onnxruntime.quantization import QuantType

    def alone(kept: lite_mp.Kept) -> Path:
        place = order.scratch / "one-layer.onnx"
        _quantize(source, place, order, found, kept)
        return place

    chosen = lite_mp.most_sensitive(source, alone, samples, int(asked["percentage"]))
    kind = str(asked.get("override_qtype", lite_mp.INT16))
    narrow, wide = (getattr(QuantType, _ACTIVATION_TYPES[one]) for one in (order.activations, "int16"))
    kept = lite_mp.kept(onnx_model.read(source), chosen, kind, narrow, wide)
    stay = "16-bit activations" if kind == lite_mp.INT16 else "floating point"
    text = f"{len(chosen)} layers that lose most keep {stay}: {', '.join(chosen)}"
    return kept, (Notice("info", "mixed-precision", text),)


def _quantize(source: Path, target: Path, order: QuantizeOrder, found: ranges.Ranges, kept: lite_mp.Kept) -> None:
    """Write the quantised model. Raises :class:`ModelNotSupported`."""
    from onnxruntime.quantization import QuantFormat, QuantType, calibrate, quantize_static

    errors: tuple[type[Exception], ...] = (*library_errors(), *_MADE_FOR_OTHERS)
    table = order.scratch / "ranges.json"
    data = calibrate.TensorsData(calibrate.CalibrationMethod.MinMax, dict(found))
    calibrate.save_tensors_data(data, table)
    logging.getLogger().setLevel(logging.ERROR)  # it advises steps that are taken here already
    try:
        quantize_static(
            source,
            target,
            None,
            quant_format=QuantFormat.QDQ,
            per_channel=True,
            activation_type=getattr(QuantType, _ACTIVATION_TYPES[order.activations]),
            weight_type=getattr(QuantType, _TYPES[order.weights]),
            calibration_cache_path=table,
            nodes_to_quantize=list(kept.only),
            nodes_to_exclude=list(kept.floating),
            extra_options={"TensorQuantOverrides": dict(kept.overrides)} if kept.overrides else {},
        )
    except errors as error:
        reason = str(error).strip().splitlines()[0][:400] if str(error).strip() else type(error).__name__
        raise ModelNotSupported(f"ONNX Runtime does not quantise {order.model.name}: {reason}") from error
    try:
        onnx_model.open_session(target)
    except ModelInvalid as error:
        raise ModelNotSupported(f"{order.model.name} does not load when it is quantised: {error.message}") from error


def _quantizations(model: Any) -> list[Quantization]:
    """Scale and zero point of the inputs and outputs that a QuantizeLinear follows, or a DequantizeLinear gives."""
    from onnx import numpy_helper

    held = {tensor.name: tensor for tensor in model.graph.initializer}
    inputs = {value.name for value in graphs.fed_inputs(model.graph)}
    outputs = {value.name for value in model.graph.output}
    found = {}
    for node in model.graph.node:
        name = ""
        if node.op_type == "QuantizeLinear" and node.input[0] in inputs:
            name = node.input[0]
        elif node.op_type == "DequantizeLinear" and node.output[0] in outputs:
            name = node.output[0]
        if not name or len(node.input) < 3 or not {node.input[1], node.input[2]} <= held.keys():
            continue
        scale, zero = (numpy_helper.to_array(held[one]) for one in node.input[1:3])
        if scale.size == 1:
            found[name] = Quantization(
                name, str(zero.dtype.name), float(scale.reshape(-1)[0]), int(zero.reshape(-1)[0])
            )
    return list(found.values())


plugin = OnnxQuantizer()
