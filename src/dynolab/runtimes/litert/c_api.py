"""LiteRT's C API by ctypes: the only way to its times of single operators, which its Python API does not offer.

Functions and layouts are those of the public headers (github.com/google-ai-edge/LiteRT, litert/c). They change between
releases: ``LiteRtCreateModelFromFile`` took two arguments in 2.2.0 and takes three in 2.3.0. So this way is used with the
releases in :data:`TRIED` only.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from ctypes import POINTER, Structure, c_bool, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynolab.errors import InferenceFailed, LoadFailed, PluginMissing
from dynolab.runtimes._numpy import Array, np
from dynolab.runtimes.base import install_command

TRIED = frozenset({"2.3.0"})
RESOLUTION_NS = 1000
"""The profiler counts whole microseconds (``elapsed_time_us``)."""

BUILTIN, DELEGATED, INNER = 2, 4, 8
"""Kinds of event that are operators: one of TFLite's own, a delegate's node as a whole, one inside a delegate."""
_SCOPE, _TELEMETRY = 1, 32
_CPU = 1  # kLiteRtHwAcceleratorCpu
_AUTO_REGISTER = 24  # kLiteRtEnvOptionTagAutoRegisterAccelerators: the CPU only, else the WebGPU library is loaded
_INTEGER = 2  # kLiteRtAnyTypeInt
_WRITE = 1  # kLiteRtTensorBufferLockModeWrite
_MAX_RANK = 8  # LITERT_TENSOR_MAX_RANK


class _Any(Structure):
    _fields_ = (("type", c_int32), ("value", c_int64))


class _EnvironmentOption(Structure):
    _fields_ = (("tag", c_int32), ("value", _Any))


class _Layout(Structure):
    _fields_ = (
        ("rank", c_uint32, 7),
        ("has_strides", c_uint32, 1),
        ("sizes", c_int32 * _MAX_RANK),
        ("strides", c_uint32 * _MAX_RANK),
    )


class _TensorType(Structure):
    _fields_ = (("element", c_int32), ("layout", _Layout))


class _Event(Structure):
    _fields_ = (
        ("tag", c_char_p),
        ("kind", c_int32),
        ("start_us", c_uint64),
        ("elapsed_us", c_uint64),
        ("memory_before", c_size_t * 3),
        ("memory_after", c_size_t * 3),
        ("node", c_uint64),
        ("subgraph", c_uint64),
        ("source", c_int32),
    )


_Handle, _New, _Size = c_void_p, POINTER(c_void_p), POINTER(c_size_t)
_FUNCTIONS: Mapping[str, tuple[Any, ...]] = {
    "CreateEnvironment": (c_int, POINTER(_EnvironmentOption), _New),
    "CreateModelFromFile": (_Handle, c_char_p, _New),
    "CreateOptions": (_New,),
    "SetOptionsHardwareAccelerators": (_Handle, c_int),
    "CreateOpaqueOptions": (c_char_p, c_void_p, c_void_p, _New),
    "AddOpaqueOptions": (_Handle, _Handle),
    "CreateCompiledModel": (_Handle, _Handle, _Handle, _New),
    "CompiledModelResizeInputTensor": (_Handle, c_size_t, c_size_t, POINTER(c_int), c_size_t),
    "CompiledModelGetProfiler": (_Handle, _New),
    "GetModelSignature": (_Handle, c_size_t, _New),
    "GetNumSignatureInputs": (_Handle, _Size),
    "GetNumSignatureOutputs": (_Handle, _Size),
    "GetSignatureInputTensorByIndex": (_Handle, c_size_t, _New),
    "GetSignatureOutputTensorByIndex": (_Handle, c_size_t, _New),
    "GetRankedTensorType": (_Handle, POINTER(_TensorType)),
    "GetCompiledModelInputTensorLayout": (_Handle, c_size_t, c_size_t, POINTER(_Layout)),
    "GetCompiledModelOutputTensorLayouts": (_Handle, c_size_t, c_size_t, POINTER(_Layout), c_bool),
    "GetCompiledModelInputBufferRequirements": (_Handle, c_size_t, c_size_t, _New),
    "GetCompiledModelOutputBufferRequirements": (_Handle, c_size_t, c_size_t, _New),
    "CreateManagedTensorBufferFromRequirements": (_Handle, POINTER(_TensorType), _Handle, _New),
    "GetTensorBufferPackedSize": (_Handle, _Size),
    "LockTensorBuffer": (_Handle, _New, c_int),
    "UnlockTensorBuffer": (_Handle,),
    "RunCompiledModel": (_Handle, c_size_t, c_size_t, _New, c_size_t, _New),
    "ResetProfiler": (_Handle,),
    "StartProfiler": (_Handle,),
    "StopProfiler": (_Handle,),
    "GetNumProfilerEvents": (_Handle, POINTER(c_int)),
    "GetProfilerEvents": (_Handle, c_int, POINTER(_Event)),
}
_OWNED = ("Environment", "Model", "Options", "CompiledModel", "TensorBuffer")
"""What has to be destroyed by hand; options given to options, signatures, tensors and the profiler belong to others."""


@dataclass(frozen=True, slots=True)
class Event:
    """One operator in one run: what ran, how it was run, how long, and its number in the file or in its partition."""

    tag: str
    kind: int
    elapsed_us: int
    node: int


class _Library:
    """``libLiteRt.so``; a function's status that is not 0 is raised."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("ai_edge_litert")
        if spec is None or not spec.submodule_search_locations:
            raise PluginMissing("ai-edge-litert is not installed", hint=install_command("litert"))
        self._functions = ctypes.CDLL(str(Path(spec.submodule_search_locations[0]) / "libLiteRt.so"))
        for name, arguments in _FUNCTIONS.items():
            self.function(name).argtypes = arguments
        for kind in _OWNED:
            self.function(f"Destroy{kind}").argtypes, self.function(f"Destroy{kind}").restype = (_Handle,), None
        system = ctypes.CDLL(None)
        system.strdup.argtypes, system.strdup.restype = (c_char_p,), c_void_p
        self.strdup, self.free = system.strdup, ctypes.cast(system.free, c_void_p)

    def function(self, name: str) -> Any:
        return getattr(self._functions, f"LiteRt{name}")

    def call(self, name: str, *arguments: object) -> None:
        status = self.function(name)(*arguments)
        if status:
            raise LoadFailed(f"LiteRt{name} failed with status {status}; the library's own words are in the log")

    def new(self, name: str, *arguments: object) -> c_void_p:
        """The handle that a function writes into its last argument."""
        handle = c_void_p()
        self.call(name, *arguments, ctypes.byref(handle))
        return handle


Own = Callable[..., c_void_p]
"""Makes a handle that is destroyed at the end: what kind it is, the function that makes it, that function's arguments."""


class Profiled:
    """A model whose runs are timed operator by operator; made by :func:`profiled`."""

    def __init__(
        self, library: _Library, own: Own, environment: c_void_p, model: c_void_p, compiled: c_void_p, *, signature: int
    ) -> None:
        self._library, self._own, self._environment, self._compiled = library, own, environment, compiled
        self._index = signature
        self._signature = library.new("GetModelSignature", model, signature)
        self._profiler = library.new("CompiledModelGetProfiler", compiled)
        if self._profiler.value is None:
            raise LoadFailed("LiteRT has no profiler for this model, although it was asked for one")
        self._run: tuple[object, ...] = ()

    def bind(self, inputs: Sequence[Array]) -> None:
        """Resize where an array (in the graph's order) differs from the input's shape; make all buffers; fill them."""
        for index, array in enumerate(inputs):
            if tuple(self._input_type(index).layout.sizes[: array.ndim]) != array.shape:
                sizes = (c_int * array.ndim)(*array.shape)
                self._library.call(
                    "CompiledModelResizeInputTensor", self._compiled, self._index, index, sizes, array.ndim
                )
        fed = [self._buffer("Input", index, self._input_type(index)) for index in range(len(inputs))]
        for buffer, array in zip(fed, inputs, strict=True):
            self._write(buffer, array)
        filled = [self._buffer("Output", index, found) for index, found in enumerate(self._output_types())]
        arrays = [(c_void_p * len(buffers))(*(buffer.value for buffer in buffers)) for buffers in (fed, filled)]
        self._run = (self._compiled, self._index, len(fed), arrays[0], len(filled), arrays[1])

    def _type(self, side: str, index: int) -> _TensorType:
        found = _TensorType()
        tensor = self._library.new(f"GetSignature{side}TensorByIndex", self._signature, index)
        self._library.call("GetRankedTensorType", tensor, ctypes.byref(found))
        return found

    def _input_type(self, index: int) -> _TensorType:
        found = self._type("Input", index)
        layout = ctypes.byref(found.layout)
        self._library.call("GetCompiledModelInputTensorLayout", self._compiled, self._index, index, layout)
        return found

    def _output_types(self) -> Iterator[_TensorType]:
        count = c_size_t()
        self._library.call("GetNumSignatureOutputs", self._signature, ctypes.byref(count))
        layouts = (_Layout * count.value)()
        self._library.call(
            "GetCompiledModelOutputTensorLayouts", self._compiled, self._index, count.value, layouts, True
        )
        for index, layout in enumerate(layouts):
            found = self._type("Output", index)
            found.layout = layout
            yield found

    def _buffer(self, side: str, index: int, kind: _TensorType) -> c_void_p:
        needs = self._library.new(f"GetCompiledModel{side}BufferRequirements", self._compiled, self._index, index)
        create = "CreateManagedTensorBufferFromRequirements"
        return self._own("TensorBuffer", create, self._environment, ctypes.byref(kind), needs)

    def _write(self, buffer: c_void_p, array: Array) -> None:
        size = c_size_t()
        self._library.call("GetTensorBufferPackedSize", buffer, ctypes.byref(size))
        if size.value != array.nbytes:
            raise InferenceFailed(f"LiteRT wants {size.value} bytes for an input, the array holds {array.nbytes}")
        place, content = c_void_p(), np.ascontiguousarray(array)
        self._library.call("LockTensorBuffer", buffer, ctypes.byref(place), _WRITE)
        ctypes.memmove(place, content.ctypes.data, array.nbytes)
        self._library.call("UnlockTensorBuffer", buffer)

    def run(self) -> None:
        """One run, not recorded."""
        status = self._library.function("RunCompiledModel")(*self._run)
        if status:
            raise InferenceFailed(f"LiteRtRunCompiledModel failed with status {status}; see the log for its own words")

    def record(self) -> list[Event]:
        """The operators of one run, in the order in which they ran."""
        count = c_int()
        self._library.call("StartProfiler", self._profiler)  # also forgets the run before
        self.run()
        self._library.call("StopProfiler", self._profiler)
        self._library.call("GetNumProfilerEvents", self._profiler, ctypes.byref(count))
        events = (_Event * max(count.value, 1))()  # it refuses a length of 0
        self._library.call("GetProfilerEvents", self._profiler, len(events), events)
        found = list(_operators(events[: count.value]))
        self._library.call("ResetProfiler", self._profiler)  # frees the names
        return found


def _operators(events: Sequence[_Event]) -> Iterator[Event]:
    """The main graph's operators: those of a loop's or branch's own graph are inside the time of the loop or branch.

    A graph's run opens with an event of the scope kind named Invoke and closes with a telemetry one of the same name.
    """
    depth = 0
    for event in events:
        tag = event.tag.decode(errors="replace")
        if tag == "Invoke" and event.kind in (_SCOPE, _TELEMETRY):
            depth += 1 if event.kind == _SCOPE else -1
        elif event.kind in (BUILTIN, DELEGATED, INNER) and depth <= 1:
            yield Event(tag, event.kind, event.elapsed_us, event.node)


@contextmanager
def profiled(model: Path, *, threads: int, weight_cache: Path, signature: int = 0) -> Iterator[Profiled]:
    """The model on the CPU with XNNPACK, as ``CompiledModel`` makes it, with the profiler built in.

    Raises :class:`LoadFailed`. Everything is destroyed at the end, in the reverse order of its making.
    """
    library = _Library()
    with ExitStack() as stack:

        def own(kind: str, create: str, *arguments: object) -> c_void_p:
            handle = library.new(create, *arguments)
            stack.callback(library.function(f"Destroy{kind}"), handle)
            return handle

        only_cpu = _EnvironmentOption(_AUTO_REGISTER, _Any(_INTEGER, _CPU))
        environment = own("Environment", "CreateEnvironment", 1, ctypes.byref(only_cpu))
        loaded = own("Model", "CreateModelFromFile", environment, str(model).encode())
        options = own("Options", "CreateOptions")
        library.call("SetOptionsHardwareAccelerators", options, _CPU)
        _add(library, options, b"runtime_options_string", "enable_profiling = true\n")
        settings = f'num_threads = {threads}\nweight_cache_file_path = "{weight_cache}"\n'
        _add(library, options, b"xnnpack", settings)
        compiled = own("CompiledModel", "CreateCompiledModel", environment, loaded, options)
        yield Profiled(library, own, environment, loaded, compiled, signature=signature)


def _add(library: _Library, options: c_void_p, identifier: bytes, toml: str) -> None:
    """Add one group of options, a text in TOML; the library takes it over and frees it."""
    payload = library.strdup(toml.encode())
    group = library.new("CreateOpaqueOptions", identifier, payload, library.free)
    library.call("AddOpaqueOptions", options, group)
