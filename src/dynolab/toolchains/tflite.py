"""The target ``tflite``: from ONNX and PyTorch by onnx2tf, in an environment of its own; TFLite stays as it is."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from signal import Signals
from typing import Any

import numpy as np

from dynolab.errors import LoadFailed, ModelNotSupported, SpecInvalid
from dynolab.runtimes.litert import file_facts
from dynolab.runtimes.litert import schema as files
from dynolab.runtimes.onnxruntime.types import spec
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.spec.tensors import Quantization
from dynolab.spec.untrusted import printable
from dynolab.toolchains import _half_weights as half_weights
from dynolab.toolchains import _onnx_graph as graphs
from dynolab.toolchains import _onnx_model as onnx_model
from dynolab.toolchains import _quantized_ends as ends
from dynolab.toolchains import _runs as runs
from dynolab.toolchains import _tflite_ends as tflite_ends
from dynolab.toolchains import _tflite_model as tflite_model
from dynolab.toolchains._environments import Environment
from dynolab.toolchains.base import RUNTIMES, Array, Made, Order, Toolchain

_PROGRAM = Path(__file__).with_name("_onnx2tf_program.py")
_MOVED_RANKS = (3, 4, 5)
"""Outputs of so many dimensions get their channels last by onnx2tf, whatever its options."""


class TfliteToolchain(Toolchain):
    """Layouts and names are made part of the ONNX model, so that the converter has nothing to decide."""

    name = "tflite"
    makes = ModelFormat.TFLITE
    sources = {
        **{kind: (*needed, "ai-edge-litert") for kind, needed in onnx_model.SOURCES.items()},
        ModelFormat.TFLITE: ("ai-edge-litert",),
    }
    options = (*onnx_model.OPTIONS, *ends.OPTIONS, half_weights.OPTION, "truncate_64bit_tensors")
    told = {
        "compute_unit": "a TFLite file is the same for each",
        "qairt_version": "it needs qnn",
    }
    lock = "tflite"
    tools = ("onnx2tf",)

    def honours(self, source: ModelFormat) -> tuple[str, ...]:
        """Of TFLite, names, shapes and layouts stay what they are."""
        return (*ends.OPTIONS, half_weights.OPTION) if source == ModelFormat.TFLITE else self.options

    def environment(self, source: ModelFormat) -> Environment | None:
        """TFLite needs none."""
        return None if source == ModelFormat.TFLITE else super().environment(source)

    def compile(self, order: Order) -> Made:
        """As the base says."""
        target = order.folder / f"{Path(order.model.name).stem}.tflite"
        if order.format == ModelFormat.TFLITE:
            _check_specs(order)
            return self._made(order, target, _taken_over(order, target))
        place = order.scratch / "onnx"
        place.mkdir()
        source, session, notices = onnx_model.make(order, place)
        model = tflite_model.read(_converted(order, _prepared(order, source, session)))
        tflite_model.refuse_unknown(model)
        tflite_model.settle(model)
        nodes = {"input": session.get_inputs(), "output": session.get_outputs()}
        tflite_model.name_ends(
            model, *({_safe(what, k): node.name for k, node in enumerate(nodes[what])} for what in nodes)
        )
        notices += tflite_model.keep_types(model, *([spec(node).dtype for node in nodes[what]] for what in nodes))
        shapes = {(what, node.name): node.shape for what, found in nodes.items() for node in found}
        for what, name, shape in tflite_model.ends(model):
            notices += tflite_model.check_shape(what, name, shapes[what, name], shape)
        if order.options.is_set("truncate_64bit_tensors") and (cut := tflite_model.narrow(model)):
            text = f"{cut} constants are beyond 32 bits, and the largest or smallest number of 32 bits now"
            notices += (Notice("warning", "constants-cut", text),)
        real = [node.name for found in nodes.values() for node in found if spec(node).dtype.startswith("float")]
        notices += _quantized(order, source, model, real)
        if half_weights.is_asked(order.options):
            notices += half_weights.halve_tflite(model)
        tflite_model.write(model, target)
        return self._made(order, target, notices)

    def reference(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says; of inputs and outputs that ``--quantize_io`` made integers their real numbers."""
        inputs = ends.real(inputs, _changed(order, made))
        if order.format == ModelFormat.TFLITE:
            return list(runs.outputs_of("litert", order.model, order.format, inputs, order.scratch).values())
        found = onnx_model.reference(order, made.output_names, inputs)
        return [np.reshape(one, (1,)) if one.shape == () and told.shape == (1,) else one
                for one, told in zip(found, made.outputs, strict=True)]  # fmt: skip

    def run(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says."""
        found = runs.outputs_of("litert", order.folder / made.entry, made.format, inputs, order.scratch)
        found = ends.real(found, _changed(order, made))
        return [found[name] for name in made.output_names]

    def _made(self, order: Order, target: Path, notices: tuple[Notice, ...]) -> Made:
        """What LiteRT says of the file. Raises :class:`ModelNotSupported` where it does not load it."""
        told = file_facts.describe(target, {})
        try:
            runs.load("litert", target, self.makes, order.scratch)
        except LoadFailed as error:
            raise ModelNotSupported(f"what was made does not load: {error.message}") from error
        return Made(
            entry=target.name,
            format=self.makes,
            inputs=told.inputs,
            outputs=told.outputs,
            output_names=tuple(one.name for one in told.outputs),
            source=runs.side(RUNTIMES[order.format], order.model, order.format, order.file_bytes, order.scratch),
            compiled=runs.side("litert", target, self.makes, runs.size_of(order.folder), order.scratch),
            notices=notices,
            quantizations=tuple(tflite_model.quantizations(target)),
        )


def _taken_over(order: Order, target: Path) -> tuple[Notice, ...]:
    """Write the source as it is, or with the integers at its ends and the weights that are asked for; notices."""
    notices, halves = ends.without_effect(order.options), half_weights.is_asked(order.options)
    if not order.options.is_set("quantize_io") and not halves:
        shutil.copyfile(order.model, target)
        return notices
    file, model = files.read(order.model), tflite_model.read(order.model)
    if order.options.is_set("quantize_io"):
        names, graph = (file.input_names, file.output_names), model.subgraphs[file.graphs.index(file.main)]
        notices += tflite_ends.take_off(model, graph, names, order.options.quantize_io_type)
    if halves:
        notices += half_weights.halve_tflite(model)
    tflite_model.write(model, target)
    return notices


def _quantized(order: Order, source: Path, model: Any, real: Sequence[str]) -> tuple[Notice, ...]:
    """Notices, where integers are asked for at the ends of a model that was a QDQ one: inside, it computes in float.

    ``real``: names of inputs and outputs that are real numbers.
    """
    if not order.options.is_set("quantize_io"):
        return ends.without_effect(order.options)
    told = [ends.shifted(one, order.options.quantize_io_type) for one in ends.found(source)]
    told = [one for one in told if one.dtype in ("int8", "uint8")]
    tflite_ends.put_on(model, told)
    return tflite_ends.not_quantised([name for name in real if name not in {one.name for one in told}])


def _changed(order: Order, made: Made) -> list[Quantization]:
    """Those inputs and outputs that are integers now, and real numbers in the source."""
    if not order.options.is_set("quantize_io") or order.format != ModelFormat.TFLITE:
        return list(made.quantizations) if order.options.is_set("quantize_io") else []
    told = file_facts.describe(order.model, {})
    real = {one.name for one in (*told.inputs, *told.outputs) if one.dtype.startswith("float")}
    return [one for one in made.quantizations if one.name in real]


def _safe(what: str, number: int) -> str:
    """A name that onnx2tf leaves alone: a colon, for one, it replaces."""
    return f"dynolab_{what}_{number}"


def _prepared(order: Order, source: Path, session: Any) -> Path:
    """The ONNX model with names and layouts that the converter keeps."""
    import onnx

    model = onnx.load(str(source))
    inputs, outputs = session.get_inputs(), session.get_outputs()
    graphs.name_inputs(model, [_safe("input", number) for number, _ in enumerate(inputs)])
    graphs.name_outputs(model, [_safe("output", number) for number, _ in enumerate(outputs)])
    for number, node in enumerate(outputs):
        sizes = [size if isinstance(size, int) else -1 for size in node.shape]
        if len(sizes) in _MOVED_RANKS and sizes.count(-1) <= 1:
            graphs.keep_order(model, _safe("output", number), sizes)
    prepared = order.scratch / "prepared.onnx"
    onnx.save_model(
        model,
        str(prepared),
        save_as_external_data=model.ByteSize() > onnx_model.WEIGHTS_INSIDE_BYTES,
        location="prepared.data",
    )
    return prepared


def _converted(order: Order, prepared: Path) -> Path:
    """What the converter's process made. Raises :class:`ModelNotSupported` with its reason."""
    folder, log = order.scratch / "converted", order.scratch / "converter.log"
    folder.mkdir()
    command = [str(order.python), "-I", str(_PROGRAM), str(prepared), str(folder)]
    environment = {**os.environ, "TQDM_DISABLE": "1"}
    with log.open("wb") as said:
        code = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=said, stderr=said, cwd=folder, env=environment, check=False
        ).returncode
    if code:
        lines = printable(log.read_text(encoding="utf-8", errors="replace")).strip().splitlines()
        ends = f"by {Signals(-code).name}" if code < 0 else f"with {(lines or [f'code {code}'])[-1][:400]}"
        raise ModelNotSupported(f"onnx2tf cannot convert the model: it ends {ends}")
    answer = json.loads((folder / "answer.json").read_text(encoding="utf-8"))
    if "error" in answer:
        reason = printable(answer["error"]).strip().splitlines()
        raise ModelNotSupported(f"onnx2tf cannot convert the model: {' '.join(reason)[:400]}")
    return folder / Path(answer["made"]).name


def _check_specs(order: Order) -> None:
    """Raise :class:`SpecInvalid` for an input that the file does not have, or not so."""
    own = {one.name: one for one in file_facts.describe(order.model, {}).inputs}
    for name, asked in order.input_specs.items():
        if name not in own or (own[name].dtype, own[name].shape) != (asked.dtype, asked.shape):
            has = ", ".join(f"{one.name}: {one.dtype} {one.shape_text}" for one in own.values())
            raise SpecInvalid(
                f"the model has no input {name!r} of {asked.dtype} {list(asked.shape)}",
                hint=f"a TFLite model is taken as it is; its inputs are: {has}",
            )


plugin = TfliteToolchain()
