"""What OpenVINO computes: any tensor that has a name in the file becomes one more output."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import ModelNotSupported
from dynolab.runtimes.openvino import model_facts, silence_telemetry
from dynolab.spec.models import ModelFormat
from dynolab.spec.options import Options
from dynolab.toolchains._layer_values.base import InnerTensor, LayerValues, Sample, Traced
from dynolab.toolchains.base import Array

_NO_LAYERS = ("Parameter", "Constant", "Result")


class OpenVinoTraced(Traced):
    """The model is read anew for each batch, since outputs are added to it."""

    def __init__(self, path: Path, precision: str | None) -> None:
        self._path, self._precision = path, precision
        self.tensors = tuple(_tensors(self._read()[1]))

    def _read(self) -> tuple[Any, Any]:
        silence_telemetry()
        import openvino

        core = openvino.Core()
        try:
            model = core.read_model(str(self._path))
        except RuntimeError as error:
            raise model_facts.refusal(error, self._path) from error
        model_facts.name_inputs(model, self._path)
        return core, model

    def reader(self, wanted: Sequence[str]) -> Callable[[Sample], list[Array]]:
        """As the base says; computed in the precision that was asked for, or the device's own."""
        core, model = self._read()
        names = [str(port.any_name) for port in model.inputs]
        hint = {} if self._precision is None else {"INFERENCE_PRECISION_HINT": self._precision}
        try:
            added = model.add_outputs(list(wanted))
            places = [model.get_result_index(port.node) for port in added]
            request = core.compile_model(model, "CPU", hint).create_infer_request()
        except RuntimeError as error:
            raise model_facts.refusal(error, self._path) from error

        def run(sample: Sample) -> list[Array]:
            try:
                request.infer({index: sample[name] for index, name in enumerate(names)})
            except RuntimeError as error:
                raise ModelNotSupported(f"the model does not run on the data: {model_facts.useful(error)}") from error
            return [np.array(request.get_output_tensor(place).data) for place in places]

        return run


def _tensors(model: Any) -> Iterator[InnerTensor]:
    sources: dict[Any, tuple[str, ...]] = {}
    for node in model.get_ordered_ops():
        kind = node.get_type_name()
        read = tuple(
            dict.fromkeys(name for port in node.inputs() for name in sources.get(port.get_source_output(), ()))
        )
        for port in node.outputs():
            names = sorted(port.names)
            if kind == "Parameter":
                sources[port] = tuple(names[:1])
            elif read and kind not in _NO_LAYERS:
                sources[port] = tuple(names[:1]) or read
                for name in names:
                    yield InnerTensor(name, node.get_friendly_name(), kind, read, name)


class OpenVinoLayerValues(LayerValues):
    """Operators that were split on the way in have no name in the file: they are left out."""

    name = "openvino"
    formats = (ModelFormat.OPENVINO_IR, ModelFormat.ONNX, ModelFormat.TFLITE)

    def open(self, model: Path, kind: ModelFormat, options: Options) -> Traced:
        """As the base says."""
        del kind
        precision = options.value("openvino_options", "inference_precision")
        return OpenVinoTraced(model, None if precision is None else str(precision))


plugin = OpenVinoLayerValues()
