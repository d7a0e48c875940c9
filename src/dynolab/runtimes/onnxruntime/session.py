"""A model loaded by ONNX Runtime, its inputs and outputs bound."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dynolab.errors import InferenceFailed
from dynolab.runtimes._elements import TEXT, element_name, packed, unpacked
from dynolab.runtimes._numpy import np
from dynolab.runtimes.base import Array, Session, zeros
from dynolab.runtimes.onnxruntime import types
from dynolab.runtimes.onnxruntime.text_model import text_model
from dynolab.spec.measurements import Notice
from dynolab.spec.tensors import Dimension, TensorSpec


def library() -> Any:
    """The module ``onnxruntime``. Its telemetry, which writes to the home and starts a thread (1.32), is off before its import."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def library_errors() -> tuple[type[Exception], ...]:
    """What ONNX Runtime raises: its own kinds have nothing in common but ``Exception``."""
    from onnxruntime.capi import onnxruntime_pybind11_state as state

    kinds = (getattr(state, name) for name in dir(state))
    return RuntimeError, *(kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Exception))


def _failed(error: Exception) -> InferenceFailed:
    text = str(error).strip().splitlines()[0]
    varies = "invalid dimensions for output" in text or "computed output shape for this run" in text
    hint = "the file declares a size for this output that not every run keeps: leave it open there" if varies else None
    return InferenceFailed(f"the inference failed: {text}", hint=hint)


class OnnxSession(Session):
    """An InferenceSession; inputs are made once, and outputs too where their size is certain."""

    takes_any_shape = True

    def __init__(self, session: Any) -> None:
        self._session = session
        self._binding: Any = None
        self._feed: dict[str, Any] = {}
        self._held: list[Any] = []
        self._made: Any = ()
        self.inputs = tuple(types.spec(node) for node in session.get_inputs())
        self._nodes = tuple(session.get_outputs())
        self.outputs = tuple(types.spec(node) for node in self._nodes if types.is_tensor(node.type))

    @property
    def _device(self) -> str:
        first = self._session.get_providers()[0]
        return "cuda" if first == "CUDAExecutionProvider" else "cpu"

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        """Where the size of every output is certain they get our memory; else ONNX Runtime makes all of them in each run.

        Half and half does not work: a binding keeps what ONNX Runtime made in one run, and asks the same size of the next.
        """
        self._held, self._binding, self.bound_output_bytes = [], None, 0
        feed: dict[str, Any] = {}
        named: dict[Dimension, int] = {}
        for spec in self.inputs:
            # Models before IR 4 list their weights as inputs; of those that ONNX Runtime folded away, its saved model keeps
            # the input, which nothing reads any more.
            array = inputs[spec.name] if spec.name in inputs else zeros(spec)
            named.update(zip(spec.shape, array.shape, strict=False))
            feed[spec.name] = _value(array, self._device)
            self._held.append(array)  # on the CPU the value borrows the array's memory
        self._feed = feed
        sizes = {spec.name: tuple(named.get(size, size) for size in spec.shape) for spec in self.outputs}
        known = {name: spec for name, spec in outputs.items() if spec.shape == sizes.get(name) and spec.bytes}
        if known.keys() == {node.name for node in self._nodes}:
            self._binding = self._bound(feed, known)

    def _bound(self, feed: Mapping[str, Any], outputs: Mapping[str, TensorSpec]) -> Any:
        binding = self._session.io_binding()
        for name, value in feed.items():
            binding.bind_ortvalue_input(name, value)
        for name, spec in outputs.items():
            array = zeros(spec)
            value = _value(array, self._device)
            self._held.append(value)
            self.bound_output_bytes += array.nbytes if self._device == "cpu" else 0
            binding.bind_ortvalue_output(name, value)
        return binding

    def runner(self) -> Callable[[], object]:
        """Runs are synchronous: with a binding on an accelerator its outputs are synchronised inside the call."""
        if self._binding is None:
            return self._allocating()
        call, binding = self._session._sess.run_with_iobinding, self._binding._iobinding
        finish = None if self._device == "cpu" else self._binding.synchronize_outputs
        failures = library_errors()

        def run() -> None:
            try:
                call(binding, None)
            except failures as error:
                raise _failed(error) from error
            if finish is not None:
                finish()

        return run

    def _allocating(self) -> Callable[[], object]:
        """The call under ``run_with_ort_values``, without the dict and the list that it makes anew each time."""
        call = self._session._sess.run_with_ort_values
        feed, names = {name: value._ortvalue for name, value in self._feed.items()}, [node.name for node in self._nodes]
        failures = library_errors()

        def run() -> None:
            try:
                self._made = call(feed, names, None)
            except failures as error:
                raise _failed(error) from error

        return run

    def fetch(self) -> dict[str, Array]:
        """Tensors only. One by one: ``copy_outputs_to_cpu`` crashes on text and on maps (1.32)."""
        if self._binding is None:
            values = [library().OrtValue(value) for value in self._made]
        else:
            values = self._binding.get_outputs()
        tensors = ((node, value) for node, value in zip(self._nodes, values, strict=True) if types.is_tensor(node.type))
        try:
            return {node.name: _array(value) for node, value in tensors}
        except UnicodeDecodeError as error:
            raise InferenceFailed(
                f"an output is text that is no UTF-8: {error.object[:40]!r}",
                hint="let the model put out bytes as uint8",
            ) from error

    def notices(self) -> tuple[Notice, ...]:
        return tuple(
            Notice(
                "info",
                "no-tensor",
                f"output {node.name!r} is a {node.type}: it is computed in every run, and not kept (only tensors are)",
            )
            for node in self._nodes
            if not types.is_tensor(node.type)
        )

    def effective(self) -> dict[str, str]:
        options = self._session.get_session_options()
        threads = options.intra_op_num_threads
        told = {
            "providers": ", ".join(self._session.get_providers()),
            "intra_op_num_threads": str(threads)
            if threads
            else f"0 (one for each physical core: {_default_threads()})",
            "inter_op_num_threads": str(options.inter_op_num_threads),
            "execution_mode": options.execution_mode.name,
            "graph_optimization_level": options.graph_optimization_level.name,
            "enable_cpu_memory_arena": str(options.enable_cpu_mem_arena).lower(),
            "enable_memory_pattern": str(options.enable_mem_pattern).lower(),
        }
        if not self._feed:
            return told
        return {**told, "outputs": "bound" if self._binding is not None else "allocated by ONNX Runtime in each run"}

    def end_profiling(self) -> Path:
        """The trace of all runs, where the session was opened to write one."""
        return Path(self._session.end_profiling())

    def close(self) -> None:
        self._binding = self._session = None
        self._feed, self._made = {}, ()
        self._held.clear()


def _value(array: Array, device: str) -> Any:
    """An OrtValue that borrows the array's memory, or holds a copy where its type is none of numpy's."""
    values, name = library().OrtValue, element_name(array)
    if name == TEXT:
        return _text_value(array)
    if name not in types.NUMBERS:
        return values.ortvalue_from_numpy(array, device, 0)
    value = values.ortvalue_from_shape_and_type(list(array.shape), types.NUMBERS[name], "cpu", 0)
    content = packed(array)
    ctypes.memmove(value.data_ptr(), content.ctypes.data, content.nbytes)
    return value


def _text_value(array: Array) -> Any:
    """An OrtValue of text: ONNX Runtime makes none of an array, but a model of one constant does."""
    model = text_model([str(item).encode() for item in array.flat], array.shape)
    session = library().InferenceSession(model, providers=["CPUExecutionProvider"])
    binding = session.io_binding()
    binding.bind_output("y", "cpu")
    session.run_with_iobinding(binding)
    return binding.get_outputs()[0]


def _array(value: Any) -> Array:
    """A copy of a tensor that ONNX Runtime holds; numpy is told the types that it lacks."""
    name = types.element_name(value.data_type().removeprefix("tensor(").removesuffix(")"))
    if name not in types.NUMBERS:
        return np.array(value.numpy())
    content = np.empty(value.tensor_size_in_bytes(), np.uint8)
    ctypes.memmove(content.ctypes.data, value.data_ptr(), content.nbytes)
    return unpacked(content, name, tuple(value.shape()))


def _default_threads() -> int:
    """ONNX Runtime's own default: one thread for each physical core that it may use."""
    if not hasattr(os, "sched_getaffinity"):
        return os.cpu_count() or 1
    cores = set()
    for processor in os.sched_getaffinity(0):
        siblings = Path(f"/sys/devices/system/cpu/cpu{processor}/topology/thread_siblings_list")
        cores.add(siblings.read_text() if siblings.exists() else str(processor))
    return len(cores)
