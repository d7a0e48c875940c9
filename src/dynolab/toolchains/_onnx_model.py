"""The ONNX model of a source: PyTorch exported, shapes fixed, changed as the options ask, with ONNX Runtime's basic optimisations."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence, Set
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import ModelInvalid, ModelNotSupported
from dynolab.runtimes.onnxruntime.session import library, library_errors
from dynolab.runtimes.onnxruntime.types import spec
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.toolchains import _onnx_graph as graphs
from dynolab.toolchains import _torch_export as torch_export
from dynolab.toolchains.base import Array, Order

OPTIONS = ("output_names", "truncate_64bit_io", "force_channel_last_input", "force_channel_last_output")
SOURCES: Mapping[ModelFormat, tuple[str, ...]] = {
    ModelFormat.ONNX: ("onnx", "onnxruntime"),
    ModelFormat.TORCHSCRIPT: ("onnx", "onnxruntime", "torch"),
    ModelFormat.EXPORTED_PROGRAM: ("onnx", "onnxruntime", "onnxscript", "torch"),
}
"""What it is made from, and the distributions that each needs."""
WEIGHTS_INSIDE_BYTES = 1_000_000_000
"""A protobuf file holds at most 2 GiB; below this much all stands in one file."""
_STANDARD = ("", "ai.onnx", "ai.onnx.ml", "ai.onnx.training", "ai.onnx.preview.training")


def make(order: Order, folder: Path) -> tuple[Path, Any, tuple[Notice, ...]]:
    """The ONNX file written into the folder, a session of it, and notices.

    Shapes that the model cannot be held to stay open, with a notice. Raises :class:`~dynolab.errors.UserError`.
    """
    import onnx

    source = order.model
    if order.format != ModelFormat.ONNX:
        source = order.scratch / "exported.onnx"
        torch_export.to_onnx(order.model, order.format, order.input_specs, source)
    model = read(source)
    if order.format != ModelFormat.ONNX and order.input_specs:
        graphs.name_inputs(model, list(order.input_specs))
    graphs.check_specs(model.graph, order.input_specs)
    domains = {entry.domain for entry in model.opset_import} | set(_STANDARD)
    target = folder / f"{Path(order.model.name).stem}.onnx"
    fixed, notices = onnx.ModelProto(), tuple[Notice, ...]()
    fixed.CopyFrom(model)
    graphs.fix_shapes(fixed, order.input_specs)
    is_open = fixed == model
    try:
        session = _optimised(_edited(fixed, order), order.scratch / "fixed.onnx", target)
    except ModelInvalid as error:
        if is_open:
            raise
        for left in folder.iterdir():
            left.unlink()
        session = _optimised(_edited(model, order), order.scratch / "open.onnx", target)
        text = f"the model does not load with its shapes fixed: {error.message}"
        notices = (Notice("warning", "shapes-stay-open", text),)
    foreign = sorted({entry.domain for entry in read(target, weights=False).opset_import} - domains)
    if foreign:
        raise ModelNotSupported(f"ONNX Runtime put in operators of {', '.join(foreign)}, which other runtimes lack")
    return target, session, notices


def reference(order: Order, names: Sequence[str], inputs: Mapping[str, Array]) -> list[Array]:
    """The source's outputs for the made model's inputs, in its layout; of an ONNX source without any optimisation.

    ``names``: of the made model's outputs, in order.
    """
    options = order.options
    last = options.names("force_channel_last_input")
    narrow = options.is_set("truncate_64bit_io") or options.is_set("truncate_64bit_tensors")
    fed = [np.moveaxis(array, -1, 1) if name in last else array for name, array in inputs.items()]
    if order.format == ModelFormat.ONNX:
        session = open_session(order.model)
        nodes = session.get_inputs()
        wide = {node.name: spec(node).dtype for node in nodes if narrow and spec(node).dtype in graphs.NARROWER}
        typed = {
            node.name: array.astype(wide[node.name]) if node.name in wide else array
            for node, array in zip(nodes, fed, strict=True)
        }
        scalars = {node.name for node in nodes if node.shape == []}  # of which some formats have none
        typed = {name: array.reshape(()) if name in scalars else array for name, array in typed.items()}
        outputs = session.run(None, typed)
    else:
        source = torch_export.open_source(order.model, order.format)
        widened = [array.astype("int64") if narrow and array.dtype == "int32" else array for array in fed]
        outputs = torch_export.call(source, order.format, widened)
    moved = options.names("force_channel_last_output")
    return [
        np.moveaxis(array, 1, -1) if name in moved else array
        for name, array in zip(names, map(as_array, outputs), strict=True)
    ]


def open_session(path: Path, level: str = "ORT_DISABLE_ALL") -> Any:
    """A session, without optimisations unless ``level`` asks for some, on one thread of the CPU.

    Raises :class:`ModelInvalid` with ONNX Runtime's reason.
    """
    return _opened(path, _session_options(level))


def open_content(content: bytes, folder: Path) -> Any:
    """The same of a model in memory, whose external data lie in the folder."""
    options = _session_options("ORT_DISABLE_ALL")
    options.add_session_config_entry("session.model_external_initializers_file_folder_path", str(folder))
    return _opened(content, options)


def runner(session: Any) -> Callable[[Mapping[str, Array]], list[Array]]:
    """What gives a session's outputs, in order, for its inputs. It raises :class:`ModelNotSupported` where they do not run."""

    def run(inputs: Mapping[str, Array]) -> list[Array]:
        try:
            return [as_array(value) for value in session.run(None, dict(inputs))]
        except library_errors() as error:
            reason = str(error).strip().splitlines()[0][:400]
            raise ModelNotSupported(f"the model does not run on the data: {reason}") from error

    return run


def opset(model: Any) -> int:
    """The version of ONNX's own operators that a model is of."""
    return max((int(entry.version) for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def as_array(value: Any) -> Array:
    """An output as an array; of sequences and maps an empty one, which holds no numbers to compare."""
    return value if isinstance(value, np.ndarray) else np.empty(0, dtype=object)


def _edited(model: Any, order: Order) -> Any:
    """The model with what the options ask for; layouts last, since they move the axes that specs speak of."""
    options = order.options
    if names := options.names("output_names"):
        graphs.name_outputs(model, names)
    if options.is_set("truncate_64bit_io") or options.is_set("truncate_64bit_tensors"):
        graphs.narrow_64_bits(model)
    graphs.channel_last(model, options.names("force_channel_last_input"), options.names("force_channel_last_output"))
    return model


def _optimised(model: Any, edited: Path, target: Path) -> Any:
    """Write the model as ONNX Runtime makes it; a session of what was written. Raises :class:`ModelInvalid`."""
    large = model.ByteSize() > WEIGHTS_INSIDE_BYTES
    write(model, edited)
    options = _session_options("ORT_ENABLE_BASIC")
    options.optimized_model_filepath = str(target)
    if large:
        name = "session.optimized_model_external_initializers"
        options.add_session_config_entry(f"{name}_file_name", f"{target.stem}.data")
        options.add_session_config_entry(f"{name}_min_size_in_bytes", "1024")
    _opened(edited, options)
    _leave_out_unused(target, {value.name for value in graphs.fed_inputs(model.graph)})
    return open_session(target)


def _leave_out_unused(path: Path, inputs: Set[str]) -> None:
    """What ONNX Runtime declares for nothing: sets of operators that no node is of, and inputs that were weights.

    Weights that are listed among the inputs, as older files do, stay there when they are folded away.
    """
    import onnx

    model = read(path, weights=False)
    every = (inner for one in (model.graph, *model.functions) for inner in graphs.graphs(one))
    used = {node.domain for inner in every for node in inner.node}
    kept = [entry for entry in model.opset_import if entry.domain in used or entry.domain in ("", "ai.onnx")]
    del model.opset_import[:]
    model.opset_import.extend(kept)
    weights = {tensor.name for tensor in model.graph.initializer}
    fed = [value for value in model.graph.input if value.name in inputs | weights]
    del model.graph.input[:]
    model.graph.input.extend(fed)
    onnx.save_model(model, str(path))


def read(path: Path, *, weights: bool = True) -> Any:
    """The model of a file. Raises :class:`ModelInvalid`."""
    import onnx
    from google.protobuf.message import DecodeError

    try:
        return onnx.load(str(path), load_external_data=weights)
    except (DecodeError, ValueError, OSError) as error:
        raise ModelInvalid(f"{path.name} cannot be read as an ONNX model: {error}") from error


def write(model: Any, path: Path) -> None:
    """Write a model, with its weights beside it where one file cannot hold them."""
    import onnx

    large, data = model.ByteSize() > WEIGHTS_INSIDE_BYTES, path.with_suffix(".data")
    data.unlink(missing_ok=True)  # else its bytes would be added to those that are there
    onnx.save_model(model, str(path), save_as_external_data=large, location=data.name)


def _session_options(level: str) -> Any:
    options = library().SessionOptions()
    options.log_severity_level = 4
    options.intra_op_num_threads = 1
    options.graph_optimization_level = getattr(library().GraphOptimizationLevel, level)
    return options


def _opened(model: Path | bytes, options: Any) -> Any:
    try:
        return library().InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except library_errors() as error:
        reason = str(error).partition("failed:")[2] or str(error)
        raise ModelInvalid(f"ONNX Runtime does not load the model: {reason.strip()[:400]}") from error
