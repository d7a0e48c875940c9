"""The target ``onnx``: shapes fixed, PyTorch exported, then ONNX Runtime's basic optimisations, which hold on every machine."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import Error, ModelInvalid, ModelNotSupported
from dynolab.runtimes.onnxruntime import file_facts
from dynolab.runtimes.onnxruntime.session import library
from dynolab.runtimes.onnxruntime.types import is_tensor, spec
from dynolab.runtimes.torch import model_facts
from dynolab.spec.compiles import Side
from dynolab.spec.measurements import Notice
from dynolab.spec.models import Description, ModelFormat
from dynolab.toolchains import _onnx_graph as graphs
from dynolab.toolchains import _torch_export as torch_export
from dynolab.toolchains.base import Array, Made, Order, Toolchain

WEIGHTS_INSIDE_BYTES = 1_000_000_000
"""A protobuf file holds at most 2 GiB; below this much all stands in one file."""
_STANDARD = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training")


class OnnxToolchain(Toolchain):
    """Basic optimisations alone: those above them put in operators that other runtimes, or other processors, lack."""

    name = "onnx"
    extra = "compile"
    makes = ModelFormat.ONNX
    sources = {
        ModelFormat.ONNX: ("onnx", "onnxruntime"),
        ModelFormat.TORCHSCRIPT: ("onnx", "onnxruntime", "torch"),
        ModelFormat.EXPORTED_PROGRAM: ("onnx", "onnxruntime", "onnxscript", "torch"),
    }
    options = ("output_names", "truncate_64bit_io", "force_channel_last_input", "force_channel_last_output")
    told = {
        "quantize_io": "it is for models that are quantised while they are compiled, and this one is not",
        "compute_unit": "an ONNX file is the same for each",
        "qairt_version": "it needs qnn",
    }

    def compile(self, order: Order) -> Made:
        """As the base says. Shapes that the model cannot be held to stay open, with a notice."""
        import onnx

        source = order.model
        if order.format is not ModelFormat.ONNX:
            source = order.scratch / "exported.onnx"
            torch_export.to_onnx(order.model, order.format, order.input_specs, source)
        model = _read(source)
        if order.format is not ModelFormat.ONNX and order.input_specs:
            graphs.name_inputs(model, list(order.input_specs))
        graphs.check_specs(model.graph, order.input_specs)
        domains = {entry.domain for entry in model.opset_import} | set(_STANDARD)
        notices: tuple[Notice, ...] = ()
        target = order.folder / f"{Path(order.model.name).stem}.onnx"
        fixed = onnx.ModelProto()
        fixed.CopyFrom(model)
        graphs.fix_shapes(fixed, order.input_specs)
        try:
            session = self._optimise(_edited(fixed, order), order.scratch / "fixed.onnx", target)
        except ModelInvalid as error:
            if fixed == model:
                raise
            for left in order.folder.iterdir():
                left.unlink()
            session = self._optimise(_edited(model, order), order.scratch / "open.onnx", target)
            notices += (
                Notice(
                    "warning", "shapes-stay-open", f"the model does not load with its shapes fixed: {error.message}"
                ),
            )
        made = _read(target, weights=False)
        foreign = sorted({entry.domain for entry in made.opset_import} - domains)
        if foreign:
            raise ModelNotSupported(f"ONNX Runtime put in operators of {', '.join(foreign)}, which other runtimes lack")
        return Made(
            entry=target.name,
            format=ModelFormat.ONNX,
            inputs=tuple(spec(node) for node in session.get_inputs()),
            outputs=tuple(spec(node) for node in session.get_outputs() if is_tensor(node.type)),
            output_names=tuple(node.name for node in session.get_outputs()),
            source=_side(order.format, _described(order), order.file_bytes),
            compiled=_side(ModelFormat.ONNX, file_facts.describe(target, {}), _bytes(order.folder)),
            notices=notices,
        )

    def reference(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says; of an ONNX source without any optimisation."""
        options = order.options
        last = options.names("force_channel_last_input")
        fed = [np.moveaxis(array, -1, 1) if name in last else array for name, array in inputs.items()]
        if order.format is ModelFormat.ONNX:
            session = _session(order.model)
            nodes = session.get_inputs()
            typed = [
                array.astype(spec(node).dtype)
                if options.is_set("truncate_64bit_io") and "int" in spec(node).dtype
                else array
                for array, node in zip(fed, nodes, strict=True)
            ]
            outputs = session.run(None, {node.name: array for node, array in zip(nodes, typed, strict=True)})
        else:
            source = torch_export.open_source(order.model, order.format)
            wide = [array.astype("int64") if array.dtype == "int32" and options.is_set("truncate_64bit_io") else array for array in fed]  # fmt: skip
            outputs = torch_export.call(source, order.format, wide)
        moved = options.names("force_channel_last_output")
        return [
            np.moveaxis(array, 1, -1) if name in moved else array
            for name, array in zip(made.output_names, map(_array, outputs), strict=True)
        ]

    def run(self, made: Made, folder: Path, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says; without further optimisation, so that what is seen is this toolchain's doing."""
        session = _session(folder / made.entry)
        return [_array(value) for value in session.run(None, dict(inputs))]

    def _optimise(self, model: Any, edited: Path, target: Path) -> Any:
        """Write the model as ONNX Runtime makes it; a session of what was written. Raises :class:`ModelInvalid`."""
        import onnx

        large = model.ByteSize() > WEIGHTS_INSIDE_BYTES
        onnx.save_model(model, str(edited), save_as_external_data=large, location=f"{edited.stem}.data")
        options = _session_options("ORT_ENABLE_BASIC")
        options.optimized_model_filepath = str(target)
        if large:
            name = "session.optimized_model_external_initializers"
            options.add_session_config_entry(f"{name}_file_name", f"{target.stem}.data")
            options.add_session_config_entry(f"{name}_min_size_in_bytes", "1024")
        _opened(edited, options)
        _leave_out_unused(target)
        return _session(target)


def _edited(model: Any, order: Order) -> Any:
    """The model with what the options ask for; layouts last, since they move the axes that specs speak of."""
    options = order.options
    if names := options.names("output_names"):
        graphs.name_outputs(model, names)
    if options.is_set("truncate_64bit_io"):
        graphs.narrow_64_bits(model)
    graphs.channel_last(model, options.names("force_channel_last_input"), options.names("force_channel_last_output"))
    return model


def _read(path: Path, *, weights: bool = True) -> Any:
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load(str(path), load_external_data=weights)
    except (DecodeError, ValueError, OSError) as error:
        raise ModelInvalid(f"{path.name} cannot be read as an ONNX model: {error}") from error


def _leave_out_unused(path: Path) -> None:
    """ONNX Runtime declares every set of operators that it knows: only those stay that some node is of."""
    import onnx

    model = _read(path, weights=False)
    used = {
        node.domain for one in (model.graph, *model.functions) for inner in graphs.graphs(one) for node in inner.node
    }
    kept = [entry for entry in model.opset_import if entry.domain in used or entry.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    onnx.save_model(model, str(path))


def _session_options(level: str) -> Any:
    options = library().SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = getattr(library().GraphOptimizationLevel, level)
    return options


def _session(path: Path) -> Any:
    return _opened(path, _session_options("ORT_DISABLE_ALL"))


def _opened(path: Path, options: Any) -> Any:
    """A session on the CPU. Raises :class:`ModelInvalid` with ONNX Runtime's reason."""
    from dynolab.runtimes.onnxruntime.session import library_errors

    try:
        return library().InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    except library_errors() as error:
        reason = str(error).partition("failed:")[2] or str(error)
        raise ModelInvalid(f"ONNX Runtime does not load the model: {reason.strip()[:400]}") from error


def _array(value: Any) -> Array:
    """An output as an array; of sequences and maps an empty one, which holds no numbers to compare."""
    return value if isinstance(value, np.ndarray) else np.empty(0, dtype=object)


def _described(order: Order) -> Description | None:
    """What the source's file says of itself, where that takes no more than reading it."""
    shapes = {name: one.shape for name, one in order.input_specs.items()}
    try:
        if order.format is ModelFormat.ONNX:
            return file_facts.describe(order.model, {})
        if order.format is ModelFormat.EXPORTED_PROGRAM:
            return model_facts.describe_program(order.model, {})
        return model_facts.describe_torchscript(order.model, shapes, {})
    except Error:  # of facts beside the answer nothing depends
        return None


def _side(kind: ModelFormat, told: Description | None, size: int) -> Side:
    if told is None:
        return Side(kind, size)
    return Side(kind, size, told.operators, told.parameters, told.precision, told.schema)


def _bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


plugin = OnnxToolchain()
