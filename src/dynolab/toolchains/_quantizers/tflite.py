"""TFLite to TFLite of integers, by Google's ai-edge-quantizer."""

from __future__ import annotations

import contextlib
import io
import logging
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import ModelNotSupported
from dynolab.runtimes.litert import file_facts, schema
from dynolab.runtimes.litert.interpreter import interpreter_ports
from dynolab.spec.models import ModelFormat
from dynolab.spec.quantize_options import QuantizeOptions
from dynolab.spec.tensors import Quantization, TensorSpec
from dynolab.toolchains import _runs as runs
from dynolab.toolchains._quantizers.base import Model, QuantizedModel, QuantizeOrder, Quantizer, Sample
from dynolab.toolchains.base import Array

_BITS = {"int8": 8, "int16": 16}
_INTEGERS = ("int4", "int8")
"""Types of quantised tensors: no float model has them."""
_FAILURES = (ValueError, RuntimeError, KeyError, TypeError, IndexError, AttributeError, NotImplementedError)
"""What the quantizer, which is Python, raises for files that nobody tried it on."""


class TfliteQuantizer(Quantizer):
    """Weights symmetric and per channel, activations signed; inputs and outputs stay float, so that the same data fit both models."""

    name = "tflite"
    needs = ("ai-edge-litert", "ai-edge-quantizer")
    types = (("int8", "int8"), ("int8", "int16"))
    options = ("range_scheme",)
    reasons = {"lite_mp": "which layers lose most is not looked for here"}

    def check(self, weights: str, activations: str, options: QuantizeOptions) -> None:
        """As the base says; ranges are from the least value to the greatest."""
        super().check(weights, activations, options)
        if options.range_scheme == "mse_minimizer":
            raise ModelNotSupported(
                "--range_scheme mse_minimizer is not done for tflite models",
                hint="min_max is; quantise the ONNX model that it was made of",
            )

    def inputs(self, order: QuantizeOrder) -> tuple[TensorSpec, ...]:
        """As the base says."""
        file = schema.read(order.model)
        if any(tensor.dtype in _INTEGERS for tensor in file.main.tensors):
            raise ModelNotSupported(
                f"{order.model.name} is quantised already", hint="give the float model that it was made of"
            )
        if not file.signatures:
            raise ModelNotSupported(
                f"{order.model.name} has no signature, by which ai-edge-quantizer knows its inputs",
                hint="convert it again with a converter of today, which writes one",
            )
        return file_facts.describe(order.model, {}).inputs

    def quantize(self, order: QuantizeOrder, samples: Sequence[Sample]) -> QuantizedModel:
        """As the base says."""
        target = order.folder / f"{Path(order.model.name).stem}.tflite"
        target.write_bytes(_quantized(order, schema.read(order.model).signatures[0], samples))
        made = schema.read(target)
        if all(one.name != "QUANTIZE" for one in made.main.operations):
            raise ModelNotSupported(f"{order.model.name} has no operator that is quantised")
        described = file_facts.describe(target, {})
        return QuantizedModel(
            entry=target.name,
            range_scheme="min_max",
            inputs=described.inputs,
            outputs=described.outputs,
            output_names=tuple(one.name for one in described.outputs),
            quantizations=tuple(_quantizations(target, made)),
            source=runs.side("litert", order.model, order.format, order.file_bytes, order.scratch),
            quantized=runs.side("litert", target, ModelFormat.TFLITE, runs.size_of(order.folder), order.scratch),
        )

    def open_float(self, order: QuantizeOrder) -> Model:
        """As the base says."""
        return _opened(order.model, exact=False)

    def open_quantized(self, order: QuantizeOrder, made: QuantizedModel, *, exact: bool) -> Model:
        """As the base says: by TFLite's reference kernels, which define it, or by XNNPACK."""
        return _opened(order.folder / made.entry, exact=exact)


def _quantized(order: QuantizeOrder, signature: str, samples: Sequence[Sample]) -> bytes:
    """The quantised file. Raises :class:`ModelNotSupported`."""
    from ai_edge_quantizer import algorithm_manager, calibrator, qtyping, quantizer, recipe_manager
    from ai_edge_quantizer.utils import qsv_utils

    operators, recipe = qtyping.TFLOperationName, recipe_manager.RecipeManager()
    recipe.add_static_config(
        regex=".*",
        operation_name=operators.ALL_SUPPORTED,
        activation_num_bits=_BITS[order.activations],
        weight_num_bits=_BITS[order.weights],
    )
    for operator in (operators.INPUT, operators.OUTPUT):
        recipe.add_quantization_config(".*", operator, algorithm_key=algorithm_manager.AlgorithmName.NO_QUANTIZE)
    try:
        with _quiet():
            work = quantizer.Quantizer(str(order.model), recipe.get_quantization_recipe())
            calibration = calibrator.Calibrator(
                order.model.read_bytes(), num_threads=1, qsv_update_func=qsv_utils.min_max_update
            )
            calibration.calibrate({signature: [dict(sample) for sample in samples]}, recipe)
            return bytes(work.quantize(calibration.get_model_qsvs()).quantized_model)
    except _FAILURES as error:
        reason = str(error).strip().splitlines()[0][:400] if str(error).strip() else type(error).__name__
        raise ModelNotSupported(f"ai-edge-quantizer does not quantise {order.model.name}: {reason}") from error


def _opened(path: Path, *, exact: bool) -> Model:
    """A model's outputs for a sample, on one thread."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    resolver = OpResolverType.BUILTIN_REF if exact else OpResolverType.BUILTIN
    opened: Any = Interpreter(str(path), num_threads=1, experimental_op_resolver_type=resolver)
    inputs, outputs = interpreter_ports(opened, None)
    opened.allocate_tensors()

    def run(sample: Sample) -> list[Array]:
        for name, place in inputs.items():
            opened.set_tensor(place, sample[name])
        opened.invoke()
        return [np.array(opened.get_tensor(place)) for place in outputs.values()]

    return run


def _quantizations(path: Path, file: schema.TfliteFile) -> Iterator[Quantization]:
    """Scale and zero point of the inputs that a QUANTIZE follows, and of the outputs that a DEQUANTIZE gives."""
    from ai_edge_litert.interpreter import Interpreter

    details = {one["index"]: one for one in Interpreter(str(path)).get_tensor_details()}
    inputs = dict(zip(file.main.inputs, file.input_names, strict=True))
    outputs = dict(zip(file.main.outputs, file.output_names, strict=True))
    for operation in file.main.operations:
        if operation.name == "QUANTIZE" and operation.inputs[0] in inputs:
            name, tensor = inputs[operation.inputs[0]], details[operation.outputs[0]]
        elif operation.name == "DEQUANTIZE" and operation.outputs[0] in outputs:
            name, tensor = outputs[operation.outputs[0]], details[operation.inputs[0]]
        else:
            continue
        scale, zero = tensor["quantization"]
        yield Quantization(name, np.dtype(tensor["dtype"]).name, float(scale), int(zero))


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Without the progress and the reports that the quantizer prints."""
    logging.getLogger().setLevel(logging.ERROR)
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        yield


plugin = TfliteQuantizer()
