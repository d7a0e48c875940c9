"""The target ``onnx``: one file that every runtime of ONNX loads, smaller and with its shapes fixed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dynolab.runtimes.onnxruntime.types import is_tensor, spec
from dynolab.spec.models import ModelFormat
from dynolab.toolchains import _half_weights as half_weights
from dynolab.toolchains import _onnx_model as onnx_model
from dynolab.toolchains import _quantized_ends as ends
from dynolab.toolchains import _runs as runs
from dynolab.toolchains.base import RUNTIMES, Array, Made, Order, Toolchain


class OnnxToolchain(Toolchain):
    """Basic optimisations alone: those above them put in operators that other runtimes, or other processors, lack."""

    name = "onnx"
    makes = ModelFormat.ONNX
    sources = onnx_model.SOURCES
    options = (*onnx_model.OPTIONS, *ends.OPTIONS, half_weights.OPTION)
    told = {
        "compute_unit": "an ONNX file is the same for each",
        "qairt_version": "it needs qnn",
    }

    def compile(self, order: Order) -> Made:
        """As the base says."""
        target, _, notices = onnx_model.make(order, order.folder)
        quantized, more = ends.quantize(target, order.options, shifts=True)
        if half_weights.is_asked(order.options):
            more += half_weights.halve_onnx(target)
        session = onnx_model.open_session(target)
        return Made(
            entry=target.name,
            format=self.makes,
            inputs=tuple(spec(node) for node in session.get_inputs()),
            outputs=tuple(spec(node) for node in session.get_outputs() if is_tensor(node.type)),
            output_names=tuple(node.name for node in session.get_outputs()),
            source=runs.side(RUNTIMES[order.format], order.model, order.format, order.file_bytes, order.scratch),
            compiled=runs.side("onnxruntime", target, self.makes, runs.size_of(order.folder), order.scratch),
            notices=(*notices, *more),
            quantizations=tuple(quantized),
        )

    def reference(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says; of quantised inputs and outputs their real numbers."""
        return onnx_model.reference(order, made.output_names, ends.real(inputs, made.quantizations))

    def run(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says; without further optimisation, so that what is seen is this toolchain's doing."""
        session = onnx_model.open_session(order.folder / Path(made.entry))
        found = map(onnx_model.as_array, session.run(None, dict(inputs)))
        return list(ends.real(dict(zip(made.output_names, found, strict=True)), made.quantizations).values())


plugin = OnnxToolchain()
