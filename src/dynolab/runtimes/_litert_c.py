"""LiteRT's C API by ctypes: the only way to its times per operator, which its Python API does not offer.

Signatures and layouts are those of the public headers (github.com/google-ai-edge/LiteRT, litert/c). They change between
releases (``LiteRtCreateModelFromFile`` took two arguments in 2.2.0 and takes three in 2.3.0), so this route is used with
the releases in :data:`TRIED` only.
"""

from __future__ import annotations

import ctypes
import importlib.util
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from ctypes import POINTER, Structure, c_bool, c_char_p, c_int, c_int32, c_int64, c_size_t, c_uint32, c_uint64, c_void_p
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from numpy.typing import NDArray

from dynolab.errors import LoadFailed, PluginMissing

TRIED = frozenset({"2.3.0"})
RESOLUTION_NS = 1000  # the profiler counts whole microseconds
OPERATOR, DELEGATE_OPERATOR, DELEGATE_INNER = 2, 4, 8  # kinds of event: TFLite operator, delegate's node, op inside it
_CPU = 1  # bit of kLiteRtHwAcceleratorCpu
_AUTO_REGISTER = 24  # kLiteRtEnvOptionTagAutoRegisterAccelerators: keeps the WebGPU library from being loaded
_ANY_INT = 2
_READ, _WRITE = 0, 1
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


_HANDLE, _NEW = c_void_p, POINTER(c_void_p)
_FUNCTIONS: Mapping[str, tuple[Any, ...]] = {
    "CreateEnvironment": (c_int, POINTER(_EnvironmentOption), _NEW),
    "CreateModelFromFile": (_HANDLE, c_char_p, _NEW),
    "CreateOptions": (_NEW,),
    "SetOptionsHardwareAccelerators": (_HANDLE, c_int),
    "CreateOpaqueOptions": (c_char_p, c_void_p, c_void_p, _NEW),
    "AddOpaqueOptions": (_HANDLE, _HANDLE),
    "CreateCompiledModel": (_HANDLE, _HANDLE, _HANDLE, _NEW),
    "CompiledModelResizeInputTensor": (_HANDLE, c_size_t, c_size_t, POINTER(c_int), c_size_t),
    "CompiledModelGetProfiler": (_HANDLE, _NEW),
    "GetModelSignature": (_HANDLE, c_size_t, _NEW),
    "GetNumSignatureInputs": (_HANDLE, POINTER(c_size_t)),
    "GetNumSignatureOutputs": (_HANDLE, POINTER(c_size_t)),
    "GetSignatureInputTensorByIndex": (_HANDLE, c_size_t, _NEW),
    "GetSignatureOutputTensorByIndex": (_HANDLE, c_size_t, _NEW),
    "GetRankedTensorType": (_HANDLE, POINTER(_TensorType)),
    "GetCompiledModelInputTensorLayout": (_HANDLE, c_size_t, c_size_t, POINTER(_Layout)),
    "GetCompiledModelOutputTensorLayouts": (_HANDLE, c_size_t, c_size_t, POINTER(_Layout), c_bool),
    "GetCompiledModelInputBufferRequirements": (_HANDLE, c_size_t, c_size_t, _NEW),
    "GetCompiledModelOutputBufferRequirements": (_HANDLE, c_size_t, c_size_t, _NEW),
    "CreateManagedTensorBufferFromRequirements": (_HANDLE, POINTER(_TensorType), _HANDLE, _NEW),
    "GetTensorBufferPackedSize": (_HANDLE, POINTER(c_size_t)),
    "LockTensorBuffer": (_HANDLE, _NEW, c_int),
    "UnlockTensorBuffer": (_HANDLE,),
    "RunCompiledModel": (_HANDLE, c_size_t, c_size_t, _NEW, c_size_t, _NEW),
    "ResetProfiler": (_HANDLE,),
    "StartProfiler": (_HANDLE,),
    "StopProfiler": (_HANDLE,),
    "GetNumProfilerEvents": (_HANDLE, POINTER(c_int)),
    "GetProfilerEvents": (_HANDLE, c_int, POINTER(_Event)),
}
_DESTROYERS = ("Environment", "Model", "Options", "CompiledModel", "TensorBuffer")


@dataclass(frozen=True, slots=True)
class Event:
    """One timed operator of one run: its name, kind, start and length, and its node in the file or in its delegate."""

    tag: str
    kind: int
    start_us: int
    elapsed_us: int
    node: int
    subgraph: int


class _Library:
    """``libLiteRt.so`` with typed functions; a status that is not 0 becomes :class:`LoadFailed`."""

    def __init__(self) -> None:
        spec = importlib.util.find_spec("ai_edge_litert")
        if spec is None or not spec.submodule_search_locations:
            raise PluginMissing("ai-edge-litert is not installed", hint="pip install 'dynolab[litert]'")
        self._library = ctypes.CDLL(str(Path(spec.submodule_search_locations[0]) / "libLiteRt.so"))
        for name, arguments in _FUNCTIONS.items():
            getattr(self._library, f"LiteRt{name}").argtypes = arguments
        for name in _DESTROYERS:
            function = getattr(self._library, f"LiteRtDestroy{name}")
            function.argtypes, function.restype = (_HANDLE,), None
        self.c = ctypes.CDLL(None)
        self.c.strdup.argtypes, self.c.strdup.restype = (c_char_p,), c_void_p

    def call(self, name: str, *arguments: object) -> None:
        status = getattr(self._library, f"LiteRt{name}")(*arguments)
        if status:
            raise LoadFailed(f"LiteRt{name} failed with status {status}; the library's own words are in the log")

    def new(self, name: str, *arguments: object) -> c_void_p:
        """The handle that a function writes into its last argument."""
        handle = c_void_p()
        self.call(name, *arguments, ctypes.byref(handle))
        return handle

    def own(self, stack: ExitStack, kind: str, name: str, *arguments: object) -> c_void_p:
        """A handle like :meth:`new`'s that is destroyed when ``stack`` closes."""
        handle = self.new(name, *arguments)
        stack.callback(getattr(self._library, f"LiteRtDestroy{kind}"), handle)
        return handle


class Profiled:
    """A loaded model whose runs are recorded operator by operator. Made by :func:`opened`."""

    def __init__(self, library: _Library, stack: ExitStack, environment: c_void_p, model: c_void_p, compiled: c_void_p):
        self._library, self._stack, self._environment, self._compiled = library, stack, environment, compiled
        self._signature = library.new("GetModelSignature", model, 0)
        self._profiler = library.new("CompiledModelGetProfiler", compiled)
        if not self._profiler:
            raise LoadFailed("LiteRT built no profiler, although it was asked for one")

    def bind(self, inputs: Sequence[NDArray[Any]]) -> None:
        """Resize to the arrays' shapes, make buffers and write the arrays; ``inputs`` in the signature's order."""
        for index, array in enumerate(inputs):
            if array.shape != self._input_type(index).shape:
                sizes = (c_int * array.ndim)(*array.shape)
                self._library.call("CompiledModelResizeInputTensor", self._compiled, 0, index, sizes, array.ndim)
        layouts = (_Layout * self._count("Output"))()
        self._library.call("GetCompiledModelOutputTensorLayouts", self._compiled, 0, len(layouts), layouts, True)
