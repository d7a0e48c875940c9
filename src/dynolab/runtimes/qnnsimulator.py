"""Qualcomm's simulator of the Hexagon NPU: it gives the numbers of a model that was built for one, on any x86_64 Linux machine."""

from __future__ import annotations

from dynolab.runtimes import _htp as htp
from dynolab.runtimes import _qnn_binary as binaries
from dynolab.runtimes.base import Runtime, Session, Target, check_units
from dynolab.runtimes.onnxruntime import file_facts
from dynolab.runtimes.onnxruntime.session import OnnxSession, library
from dynolab.spec.chipsets import CHIPSETS
from dynolab.spec.measurements import ComputeUnit, Notice, RuntimeRow
from dynolab.spec.models import Description, ModelFormat


class SimulatedSession(OnnxSession):
    """A session whose inferences are simulated."""

    def notices(self) -> tuple[Notice, ...]:
        """With what nobody should take the figures for."""
        return (*super().notices(), Notice("warning", "simulated", QnnSimulator.numbers_only))


class QnnSimulator(Runtime):
    """ONNX Runtime, with the simulator in the place of a device's NPU. What is simulated is the chipset that the file was built for."""

    name = "qnnsimulator"
    formats = (ModelFormat.PRECOMPILED_QNN_ONNX, ModelFormat.QNN_CONTEXT_BINARY)
    distributions = (htp.DISTRIBUTION, "onnxruntime", "onnx")
    units = (ComputeUnit.CPU,)
    numbers_only = "the NPU is simulated on an x86 processor: its numbers are good for comparisons, its times and memory tell nothing of a device"
    row = RuntimeRow(
        artifact=None,
        wiped="nothing: what is simulated was built before",
        lazy="the simulator's own memory",
    )

    def unavailable(self) -> str | None:
        """The machine's kind matters, too."""
        return htp.unavailable()

    def import_library(self) -> None:
        library().set_default_logger_severity(4)
        htp.libraries()

    def describe(self, target: Target) -> Description:
        check_units(target.options, self.units, self.name)
        if target.format == ModelFormat.PRECOMPILED_QNN_ONNX:
            return file_facts.describe(target.model, target.shapes)
        facts, graph = binaries.read(target.model), binaries.the_graph(target.model)
        told = ("parameters", "parameter_bytes", "precision", "operators", "multiply_accumulates", "producer")
        unknown = dict.fromkeys(told, "Qualcomm's library tells nothing of what is inside a graph that was built")
        return Description(inputs=graph.inputs, outputs=graph.outputs, schema=f"QNN {facts.sdk}", unknown=unknown)

    def load(self, target: Target) -> Session:
        """The chipset that is asked for decides nothing: the file says what it was built for."""
        check_units(target.options, self.units, self.name)
        if target.format == ModelFormat.PRECOMPILED_QNN_ONNX:
            return SimulatedSession(htp.open_session(target.model, CHIPSETS[0]))
        wrapper = binaries.wrapped(target.model, binaries.the_graph(target.model))
        entries = {
            "ep.context_file_path": str(target.model.with_suffix(".onnx"))
        }  # whose folder the binary is looked for in
        return SimulatedSession(htp.open_session(wrapper, CHIPSETS[0], entries))


plugin = QnnSimulator()
