"""The target ``openvino``: OpenVINO's IR, from ONNX and PyTorch through ONNX, and from TFLite."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

from dynolab.errors import SpecInvalid
from dynolab.runtimes.litert import schema
from dynolab.runtimes.openvino import model_facts, silence_telemetry
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import Quantization
from dynolab.toolchains import _half_weights as half_weights
from dynolab.toolchains import _onnx_model as onnx_model
from dynolab.toolchains import _quantized_ends as ends
from dynolab.toolchains import _runs as runs
from dynolab.toolchains.base import RUNTIMES, Array, Made, Order, Toolchain

_EXACT = '--openvino_options "inference_precision=f32"'
"""Else a processor with bfloat16 computes in that, which is the runtime's doing and not the file's."""


class OpenVinoToolchain(Toolchain):
    """PyTorch goes through ONNX: OpenVINO's own reader of it loses names and shapes."""

    name = "openvino"
    makes = ModelFormat.OPENVINO_IR
    sources = {
        **{kind: (*needed, "openvino") for kind, needed in onnx_model.SOURCES.items()},
        ModelFormat.TFLITE: ("openvino",),
    }
    options = (*onnx_model.OPTIONS, *ends.OPTIONS, half_weights.OPTION)
    _of_tflite: ClassVar[tuple[str, ...]] = (half_weights.OPTION,)
    told = {
        "quantize_io": "inputs and outputs of a TFLite model stay as they are",
        "compute_unit": "IR is the same for each",
        "qairt_version": "it needs qnn",
    }

    def honours(self, source: ModelFormat) -> tuple[str, ...]:
        """Of TFLite, names and layouts stay what they are."""
        return self._of_tflite if source == ModelFormat.TFLITE else self.options

    def compile(self, order: Order) -> Made:
        """As the base says. ``--quantize_weight_type float16`` halves the weights; it computes in float32 as before."""
        silence_telemetry()
        import openvino

        source, notices, quantized = order.model, tuple[Notice, ...](), list[Quantization]()
        if order.format != ModelFormat.TFLITE:
            place = order.scratch / "onnx"
            place.mkdir()
            source, _, notices = onnx_model.make(order, place)
            quantized, more = ends.quantize(source, order.options, shifts=True)
            notices += more
        try:
            model = openvino.Core().read_model(str(source))
            model_facts.name_inputs(model, source)
            if order.format == ModelFormat.TFLITE:
                _name_as_signature(model, source)
                _reshape(model, order)
            target = order.folder / f"{Path(order.model.name).stem}.xml"
            openvino.save_model(model, str(target), compress_to_fp16=half_weights.is_asked(order.options))
            made = openvino.Core().read_model(str(target))
        except RuntimeError as error:
            raise model_facts.refusal(error, source) from error
        outputs = model_facts.specs(made.outputs, "output")
        return Made(
            entry=target.name,
            format=self.makes,
            inputs=model_facts.specs(made.inputs, "input"),
            outputs=outputs,
            output_names=tuple(one.name for one in outputs),
            source=runs.side(RUNTIMES[order.format], order.model, order.format, order.file_bytes, order.scratch),
            compiled=runs.side("openvino", target, self.makes, runs.size_of(order.folder), order.scratch),
            notices=notices,
            quantizations=tuple(quantized),
        )

    def reference(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says; of quantised inputs and outputs their real numbers."""
        if order.format != ModelFormat.TFLITE:
            return onnx_model.reference(order, made.output_names, ends.real(inputs, made.quantizations))
        found = runs.outputs_of("litert", order.model, order.format, inputs, order.scratch)
        ordered = (
            [found[name] for name in made.output_names] if found.keys() == set(made.output_names) else found.values()
        )
        return list(ordered)

    def run(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says; computed in float32."""
        found = runs.outputs_of("openvino", order.folder / made.entry, made.format, inputs, order.scratch, _EXACT)
        return list(ends.real(found, made.quantizations).values())


def _name_as_signature(model: Any, path: Path) -> None:
    """Give inputs and outputs the names of the file's signature, by which LiteRT knows them: OpenVINO takes those of tensors."""
    file = schema.read(path)
    sides = (model.inputs, file.main.inputs, file.input_names), (model.outputs, file.main.outputs, file.output_names)
    for ports, places, names in sides:
        by_tensor = {file.main.tensors[place].name: name for place, name in zip(places, names, strict=True)}
        for port in ports:
            name = next((by_tensor[one] for one in port.names if one in by_tensor), None)
            if name is not None:
                port.get_tensor().set_names({name})


def _reshape(model: Any, order: Order) -> None:
    """Fix the shapes that were asked for. Raises :class:`SpecInvalid` for what the model does not take."""
    known = {one.name: one for one in model_facts.specs(model.inputs, "input")}
    for name, asked in order.input_specs.items():
        if name not in known:
            raise SpecInvalid(f"the model has no input named {name!r}", hint=f"its inputs are: {', '.join(known)}")
        if known[name].dtype != asked.dtype:
            raise SpecInvalid(
                f"input {name!r} is {known[name].dtype}, and {asked.dtype} was asked for",
                hint=f"give {name}=SHAPE:{known[name].dtype}",
            )
    if order.input_specs:
        model.reshape({name: list(asked.shape) for name, asked in order.input_specs.items()})


plugin = OpenVinoToolchain()
