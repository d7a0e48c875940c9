"""The target ``onnx``: one file that every runtime of ONNX loads, smaller and with its shapes fixed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dynolab.runtimes.onnxruntime.types import is_tensor, spec
from dynolab.spec.models import ModelFormat
from dynolab.toolchains import _onnx_model as onnx_model
from dynolab.toolchains import _runs as runs
from dynolab.toolchains.base import RUNTIMES, Array, Made, Order, Toolchain


class OnnxToolchain(Toolchain):
    """Basic optimisations alone: those above them put in operators that other runtimes, or other processors, lack."""

    name = "onnx"
    makes = ModelFormat.ONNX
    sources = onnx_model.SOURCES
    options = onnx_model.OPTIONS
    told = {
        "quantize_io": "it is for models that are quantised while they are compiled, and this one is not",
        "compute_unit": "an ONNX file is the same for each",
        "qairt_version": "it needs qnn",
    }

    def compile(self, order: Order) -> Made:
        """As the base says."""
        target, session, notices = onnx_model.make(order, order.folder)
        return Made(
            entry=target.name,
            format=self.makes,
            inputs=tuple(spec(node) for node in session.get_inputs()),
            outputs=tuple(spec(node) for node in session.get_outputs() if is_tensor(node.type)),
            output_names=tuple(node.name for node in session.get_outputs()),
            source=runs.side(RUNTIMES[order.format], order.model, order.format, order.file_bytes, order.scratch),
            compiled=runs.side("onnxruntime", target, self.makes, runs.size_of(order.folder), order.scratch),
            notices=notices,
        )

    def reference(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says."""
        return onnx_model.reference(order, made.output_names, inputs)

    def run(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says; without further optimisation, so that what is seen is this toolchain's doing."""
        session = onnx_model.open_session(order.folder / Path(made.entry))
        return [onnx_model.as_array(value) for value in session.run(None, dict(inputs))]


plugin = OnnxToolchain()
