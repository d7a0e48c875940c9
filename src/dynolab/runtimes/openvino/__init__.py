"""OpenVINO: its own IR, ONNX and TFLite models on a CPU, and on a GPU or NPU where its plug-ins find one."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import cached_property, partial
from math import prod
from pathlib import Path
from typing import Any

from dynolab.errors import InferenceFailed, ModelNotSupported
from dynolab.runtimes._elements import EXTRA, TEXT, element_name, packed, unpacked
from dynolab.runtimes._numpy import np
from dynolab.runtimes.base import UNWATCHED, Array, LayerRecording, Runtime, Session, Target, Watch, check_units
from dynolab.runtimes.openvino import model_facts as facts
from dynolab.spec.measurements import ComputeUnit, Layer, Notice, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.option_grammar import OptionValue
from dynolab.spec.options import Options
from dynolab.spec.tensors import TensorSpec

GROUP = "openvino_options"
PROPERTIES: Mapping[str, str] = {
    "performance_hint": "PERFORMANCE_HINT",
    "inference_precision": "INFERENCE_PRECISION_HINT",
    "inference_num_threads": "INFERENCE_NUM_THREADS",
    "num_streams": "NUM_STREAMS",
    "enable_hyper_threading": "ENABLE_HYPER_THREADING",
}
"""Options of the group, and the properties that they set."""
READ_BACK: Mapping[str, str] = {
    **PROPERTIES,
    "execution_devices": "EXECUTION_DEVICES",
    "execution_mode_hint": "EXECUTION_MODE_HINT",
    "enable_cpu_pinning": "ENABLE_CPU_PINNING",
    "loaded_from_cache": "LOADED_FROM_CACHE",
}
"""What :meth:`OpenVinoSession.effective` reports, where the device has it."""
DECLARED, RESHAPED = "declared-", "reshaped-"
"""How the artifact's name begins: compiled for the shapes that the file declares, or for others that were put in."""
LAYER_PASS_NS = 30_000_000_000
"""Each iteration of the layer pass loads the model anew. Past this time no more are begun, once there are three."""
MIN_LAYER_RUNS = 3
MOST_LAYER_RUNS = 20
"""However many iterations are asked for: a load takes longer than a fast model's."""
COUNTER_STEP_NS = 2_000
"""Twice the mean of two runs less the first one, each cut to whole microseconds: off by less than 2 us."""
LAYER_NOTE = (
    "OpenVINO counts in means over all runs since loading: each iteration is the second run after a load of its own, "
    "2 × (mean of both) − first"
)


class OpenVinoSession(Session):
    """A compiled model and its one infer request."""

    def __init__(self, compiled: Any, names: Sequence[str], read: Callable[[], tuple[list[str], list[str]]]) -> None:
        """``names``: of the inputs in their order, as the file has them. What OpenVINO compiled may have others, too.

        ``read`` reads the model for the names of inputs and outputs. It is no part of a load, but where an input that nothing
        reads was left out and another has a new name.
        """
        self.compiled, self.request = compiled, compiled.create_infer_request()
        self._read = read
        given = self._given(names)
        self.inputs = facts.specs(compiled.inputs, "input", names=given)
        self._unread = tuple(name for name in names if name not in given)
        self._held: list[Any] = []

    def _given(self, names: Sequence[str]) -> list[str]:
        """The file's name of each compiled input."""
        ports = self.compiled.inputs
        if len(names) == len(ports):
            return list(names)
        found = [next((name for name in names if name in port.names), "") for port in ports]
        return found if all(found) else self._read()[0]

    @cached_property
    def outputs(self) -> tuple[TensorSpec, ...]:  # type: ignore[override] # read when asked for, and kept
        """The outputs' tensors, by the model's own names."""
        return facts.specs(self.compiled.outputs, "output", names=self._read()[1])

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        """Inputs stay in the caller's memory, outputs in OpenVINO's.

        Where an output is an input as it came in, OpenVINO leaves a tensor that it was given for it untouched (2026.4.1).
        """
        held: list[Any] = []
        try:
            for index, spec in enumerate(self.inputs):
                array = np.require(inputs[spec.name], requirements=["C", "W"])
                held += [array, _tensor(array, self.compiled.inputs[index])]
                self.request.set_input_tensor(index, held[-1])
        except RuntimeError as error:
            raise InferenceFailed(f"OpenVINO refused a tensor: {facts.useful(error)}") from error
        self._held = held

    def runner(self) -> Callable[[], object]:
        """The synchronous call: it returns when the device is done, and shared outputs are views, not copies."""
        infer = self.request.infer

        def run() -> None:
            try:
                infer(share_outputs=True)
            except RuntimeError as error:
                raise InferenceFailed(f"the inference failed: {facts.useful(error)}") from error

        return run

    def fetch(self) -> dict[str, Array]:
        tensors = [self.request.get_output_tensor(index) for index in range(len(self.outputs))]
        return {spec.name: _array(tensor, spec.dtype) for spec, tensor in zip(self.outputs, tensors, strict=True)}

    def notices(self) -> tuple[Notice, ...]:
        text = "input {!r} is read by nothing: OpenVINO leaves it out"
        return tuple(Notice("info", "input-unread", text.format(name)) for name in self._unread)

    def effective(self) -> dict[str, str]:
        known = set(self.compiled.get_property("SUPPORTED_PROPERTIES")) | {"EXECUTION_DEVICES", "LOADED_FROM_CACHE"}
        return {name: _text(self.compiled.get_property(key)) for name, key in sorted(READ_BACK.items()) if key in known}

    def close(self) -> None:
        self._held.clear()
        self.request = self.compiled = None


class OpenVino(Runtime):
    """A load is an app's: compiled with a cache folder, where the first one leaves a blob that the next one imports.

    The artifact is the same blob, from a compilation of its own, streamed into ``artifact_dir`` by the same cache;
    loads do not read it. ``export_model`` gives it too, but holds it twice more in Python: a peak of 846 MB instead
    of 465 MB for 200 MB of weights (2026.4.1), which would be charged to the model.
    """

    name = "openvino"
    formats = (ModelFormat.OPENVINO_IR, ModelFormat.ONNX, ModelFormat.TFLITE)
    distributions = ("openvino",)
    units = (ComputeUnit.CPU, ComputeUnit.GPU, ComputeUnit.NPU)
    option_groups = (GROUP,)
    cached_values = False  # rotary embeddings that are imported from the cache are computed otherwise (2026.4.1)
    row = RuntimeRow(
        artifact="the exported compiled blob; a load does not read it, it compiles through cache_dir as an app does",
        wiped="cache_dir: the first load compiles and leaves its blob there, a warm load imports that",
        lazy="what the device's plug-in defers to the first run; the infer request is created in load",
    )

    def __init__(self) -> None:
        self._opened: Any = None

    @property
    def _core(self) -> Any:
        """OpenVINO's root object, one for each process as in an app."""
        if self._opened is None:
            silence_telemetry()
            from openvino import Core

            self._opened = Core()
        return self._opened

    def import_library(self) -> None:
        """The CPU's plug-in too: a library of its own, which comes in with the first question about the device."""
        self._core.get_property("CPU", "FULL_DEVICE_NAME")

    def describe(self, target: Target) -> Description:
        schema = facts.ir_version(target.model) if target.format == ModelFormat.OPENVINO_IR else None
        model = self._read(target.model)
        facts.name_inputs(model, target.model)
        return facts.describe(model, target.shapes, target.model, schema)

    def load(self, target: Target) -> Session:
        """By path where compile found the declared shapes in use: a warm load then never parses the model."""
        by_path = any(target.artifact_dir.glob(f"{DECLARED}*.blob"))
        source = target.model if by_path else self._read_bound(target)[0]
        compiled = self._compile(source, target, {"CACHE_DIR": str(target.cache_dir)})
        return self._session(compiled, target)

    def compile(self, target: Target) -> None:
        model, changed = self._read_bound(target)
        self._compile(model, target, {"CACHE_DIR": str(target.artifact_dir)})
        blobs = list(target.artifact_dir.glob("*.blob"))
        if not blobs:
            device = _device(self._core, target.options)
            raise ModelNotSupported(f"OpenVINO's plug-in for {device} exports no compiled models")
        for blob in blobs:
            blob.rename(blob.with_name((RESHAPED if changed else DECLARED) + blob.name))

    def layers(
        self, target: Target, inputs: Mapping[str, Array], iterations: int, watch: Watch = UNWATCHED
    ) -> LayerRecording:
        """From PERF_COUNT; a fresh load for each iteration, because the counters cannot be reset."""
        if _device(self._core, target.options).startswith("HETERO"):
            raise ModelNotSupported("OpenVINO does not tell which unit ran a layer", hint="ask for one --compute_unit")
        model, _ = self._read_bound(target)
        names = {node.get_friendly_name() for node in model.get_ordered_ops()}
        config = {"CACHE_DIR": str(target.cache_dir), "PERF_COUNT": True}
        rows: list[list[Layer]] = []
        loads, left_out, started_ns = 0, 0, time.monotonic_ns()
        while loads < min(iterations, MOST_LAYER_RUNS):
            session = self._session(self._compile(model, target, config), target)
            session.bind(inputs, {})
            row, left_out = _second_run(session, names, watch)
            rows += [[], row]  # the first run was watched, too: it is the other's warm-up
            loads += 1
            session.close()
            if loads >= MIN_LAYER_RUNS and time.monotonic_ns() - started_ns > LAYER_PASS_NS:
                break
        return LayerRecording(
            rows, COUNTER_STEP_NS, f"{LAYER_NOTE}. {left_out} nodes fused away or not run are left out."
        )

    def _session(self, compiled: Any, target: Target) -> OpenVinoSession:
        return OpenVinoSession(compiled, tuple(target.shapes), partial(self._names, target.model))

    def _names(self, path: Path) -> tuple[list[str], list[str]]:
        """Of inputs and of outputs, as the file has them."""
        model = self._read(path)
        facts.name_inputs(model, path)
        return [str(port.any_name) for port in model.inputs], facts.output_names(model, path)

    def _compile(self, source: Any, target: Target, config: Mapping[str, Any]) -> Any:
        """OpenVINO's compiled model of a path or a model in memory, proven to be where it was asked for."""
        device = _device(self._core, target.options)
        try:
            compiled = self._core.compile_model(source, device, {**_asked(target.options), **config})
        except RuntimeError as error:
            raise facts.refusal(error, target.model) from error
        taken = {name.strip("()").split(".")[0] for name in compiled.get_property("EXECUTION_DEVICES")}
        if taken - set(device.removeprefix("HETERO:").split(",")):
            raise ModelNotSupported(f"OpenVINO put this model on {', '.join(sorted(taken))}; {device} was asked for")
        return compiled

    def _read(self, path: Path) -> Any:
        try:
            return self._core.read_model(path)
        except RuntimeError as error:
            raise facts.refusal(error, path) from error

    def _read_bound(self, target: Target) -> tuple[Any, bool]:
        """The model with the target's shapes, and whether these differ from the declared ones.

        Shapes of all inputs are in the model's order; their names, for which the file is read once more, take no part in a load.
        """
        model = self._read(target.model)
        if len(target.shapes) == len(model.inputs):
            return model, facts.reshape_in_order(model, target.shapes)
        facts.name_inputs(model, target.model)
        return model, facts.reshape(model, target.shapes)


def _device(core: Any, options: Options) -> str:
    """OpenVINO's word for the requested units: one device, HETERO over several in their order, the CPU if none is named.

    Devices are looked for only when more than the CPU is named, because that loads the plug-ins of all of them.
    """
    if not set(options.compute_units) - {ComputeUnit.CPU}:
        return "CPU"
    present = {name.split(".")[0] for name in core.available_devices}
    units = check_units(options, [unit for unit in OpenVino.units if unit in present], OpenVino.name)
    return str(units[0]) if len(units) == 1 else f"HETERO:{','.join(units)}"


def _asked(options: Options) -> dict[str, OptionValue]:
    """OpenVINO's properties for what was asked for; the rest is left to OpenVINO."""
    values = {key: options.value(GROUP, name) for name, key in PROPERTIES.items()}
    return {key: value for key, value in values.items() if value is not None}


def _tensor(array: Array, port: Any) -> Any:
    """OpenVINO's tensor of an array: in the same memory, or a copy where its type is none of numpy's."""
    from openvino import Tensor

    if element_name(array) not in EXTRA:
        return Tensor(array, shared_memory=element_name(array) != TEXT)
    tensor = Tensor(port.element_type, list(array.shape))
    tensor.data.reshape(-1).view(np.uint8)[:] = packed(array)
    return tensor


def _array(tensor: Any, dtype: str) -> Array:
    """A copy of a tensor; OpenVINO shows types that numpy lacks as others of their size, bfloat16 as float16."""
    if dtype == TEXT:
        return np.array(tensor.str_data)
    if dtype in EXTRA:
        return unpacked(np.ascontiguousarray(tensor.data).reshape(-1).view(np.uint8), dtype, tuple(tensor.shape))
    return np.array(tensor.data)


def _text(value: Any) -> str:
    """A property's value in OpenVINO's own words."""
    if hasattr(value, "get_type_name"):
        return str(value.get_type_name())
    if isinstance(value, list | tuple):
        return ", ".join(str(item) for item in value)
    return str(getattr(value, "name", value))


def _second_run(session: OpenVinoSession, names: Collection[str], watch: Watch) -> tuple[list[Layer], int]:
    """The layers of a fresh session's second run, in the order of execution, and how many nodes did not run.

    A layer is called by those of the model's own nodes (``names``) that were fused into it.
    """
    run = session.runner()
    watch(run)
    first = {entry.node_name: entry.real_time for entry in session.request.profiling_info}
    watch(run)
    watch.close()
    entries = session.request.profiling_info
    nodes = {node.get_friendly_name(): node for node in session.compiled.get_runtime_model().get_ordered_ops()}
    unit = ComputeUnit(str(session.compiled.get_property("EXECUTION_DEVICES")[0]).split(".")[0])
    done = [entry for entry in entries if entry.status.name == "EXECUTED"]
    done.sort(key=lambda entry: int(_remark(nodes.get(entry.node_name), "execOrder") or 0))
    layers = []
    for entry in done:
        microseconds = (2 * entry.real_time - first[entry.node_name]).total_seconds() * 1e6
        node = nodes.get(entry.node_name)
        layers.append(
            Layer(
                name=_origin(node, names) or entry.node_name,
                type=entry.node_type,
                compute_unit=unit,
                time_ns=max(0, round(microseconds)) * 1000,
                output_bytes=_output_bytes(node),
                delegate=entry.exec_type,
                precision=facts.element_type(_remark(node, "runtimePrecision")),
            )
        )
    return layers, len(entries) - len(done)


def _origin(node: Any, names: Collection[str]) -> str:
    """The nodes that a layer was made of; names that OpenVINO's passes made up on the way only where there are no others.

    Made-up names end in a number that counts through the whole process, so they are not the same in the next one.
    """
    listed = _remark(node, "originalLayersNames")
    return ",".join(name for name in listed.split(",") if name in names) or listed


def _remark(node: Any, key: str) -> str:
    """An entry of a runtime node's rt_info; empty where there is none."""
    return str(node.rt_info[key].astype(str)) if node is not None and key in node.rt_info else ""


def _output_bytes(node: Any) -> int | None:
    ports = node.outputs() if node is not None else []
    if not ports or any(port.get_partial_shape().is_dynamic for port in ports):
        return None
    return int(sum(prod(port.get_shape()) * port.get_element_type().bitwidth // 8 for port in ports))


def silence_telemetry() -> None:
    """Keep the import of openvino from sending an event of its own, which would also be part of the import's time.

    It takes its own stub where ``openvino_telemetry`` cannot be imported (seen with openvino 2026.4.1).
    """
    if "openvino" not in sys.modules:
        sys.modules["openvino_telemetry"] = None  # type: ignore[assignment] # how the import system marks "not there"


plugin = OpenVino()
