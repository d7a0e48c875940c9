"""What a QNN context binary says of itself, read by Qualcomm's own library (libQnnSystem): its chipset, graphs and their tensors.

Structures are those of QNN's C API, 2.51 (QnnSystemInterface.h, QnnSystemContext.h, QnnTypes.h). Only for a confined process:
a file of anybody's goes into a library that is written in C.
"""

from __future__ import annotations

import ctypes as c
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dynolab.errors import ModelInvalid, ModelNotSupported
from dynolab.runtimes import _htp as htp
from dynolab.runtimes._numpy import np
from dynolab.spec.tensors import TensorSpec

_TYPES = {
    0x0008: "int8", 0x0016: "int16", 0x0032: "int32", 0x0064: "int64", 0x0108: "uint8", 0x0116: "uint16", 0x0132: "uint32",
    0x0164: "uint64", 0x0216: "float16", 0x0232: "float32", 0x0264: "float64", 0x0308: "int8", 0x0316: "int16",
    0x0332: "int32", 0x0408: "uint8", 0x0416: "uint16", 0x0432: "uint32", 0x0508: "bool",
}  # fmt: skip
"""Element types by Qnn_DataType_t; fixed-point numbers by the integers that hold them."""
_VERSION_3 = 3


class _Version(c.Structure):
    _fields_ = [("major", c.c_uint32), ("minor", c.c_uint32), ("patch", c.c_uint32)]


class _Provider(c.Structure):
    _fields_ = [
        ("backend", c.c_uint32),
        ("name", c.c_char_p),
        ("version", _Version),
        ("create", c.c_void_p),
        ("binary_info", c.c_void_p),
        ("metadata", c.c_void_p),
        ("free", c.c_void_p),
    ]


class _Tensor(c.Structure):
    """The first part is the same in both versions; the size is that of the second."""

    _fields_ = [
        ("version", c.c_uint32),
        ("aligned", c.c_uint64 * 0),
        ("id", c.c_uint32),
        ("name", c.c_char_p),
        ("kind", c.c_uint32),
        ("layout", c.c_uint32),
        ("type", c.c_uint32),
        ("quantization", c.c_uint64 * 5),
        ("rank", c.c_uint32),
        ("sizes", c.POINTER(c.c_uint32)),
        ("rest", c.c_uint64 * 6),
    ]


class _Graph(c.Structure):
    _fields_ = [
        ("version", c.c_uint32),
        ("name", c.c_char_p),
        ("inputs", c.c_uint32),
        ("input", c.POINTER(_Tensor)),
        ("outputs", c.c_uint32),
        ("output", c.POINTER(_Tensor)),
        ("updateables", c.c_uint32),
        ("updateable", c.c_void_p),
        ("blob_size", c.c_uint32),
        ("blob", c.c_void_p),
        ("operators", c.c_uint32 * 2),
    ]


class _Binary(c.Structure):
    _fields_ = [
        ("version", c.c_uint32),
        ("aligned", c.c_uint64 * 0),
        ("backend", c.c_uint32),
        ("build", c.c_char_p),
        ("core", _Version),
        ("backend_version", _Version),
        ("soc_version", c.c_char_p),
        ("blob_version", _Version),
        ("blob_size", c.c_uint64),
        ("tensors", c.c_uint32),
        ("tensor", c.c_void_p),
        ("graphs", c.c_uint32),
        ("graph", c.POINTER(_Graph)),
        ("platform", c.c_void_p),
        ("metadata_size", c.c_uint32),
        ("metadata", c.c_void_p),
        ("soc_model", c.c_uint32),
    ]


@dataclass(frozen=True, slots=True)
class BinaryGraph:
    """A graph in a binary."""

    name: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]


@dataclass(frozen=True, slots=True)
class BinaryFacts:
    """What a binary says of itself."""

    sdk: str
    soc_model: int
    graphs: tuple[BinaryGraph, ...]


def read(path: Path) -> BinaryFacts:
    """The facts of a context binary. Raises :class:`ModelInvalid` for a file that is none."""
    content = np.memmap(path, np.uint8, mode="r")
    system = c.CDLL(str(htp.libraries() / "libQnnSystem.so"))
    providers, count = c.POINTER(c.POINTER(_Provider))(), c.c_uint32()
    if (
        system.QnnSystemInterface_getProviders(c.byref(providers), c.byref(count))
        or not count.value
        or providers[0].contents.version.major != 1
    ):
        raise ModelNotSupported("Qualcomm's library has no interface to read context binaries")
    provider = providers[0].contents
    handle, found = c.c_void_p(), c.POINTER(_Binary)()
    call = c.CFUNCTYPE(c.c_uint64, c.POINTER(c.c_void_p))
    ask = c.CFUNCTYPE(c.c_uint64, c.c_void_p, c.c_void_p, c.c_uint64, c.POINTER(c.POINTER(_Binary)))
    end = c.CFUNCTYPE(c.c_uint64, c.c_void_p)
    if call(provider.create)(c.byref(handle)):
        raise ModelNotSupported("Qualcomm's library cannot be asked about context binaries")
    try:
        code = ask(provider.metadata)(handle, content.ctypes.data, content.nbytes, c.byref(found))
        if code:
            raise ModelInvalid(f"{path.name} is no whole QNN context binary: Qualcomm's library answers {code}")
        return _facts(path, found.contents)
    finally:
        end(provider.free)(handle)


def wrapped(path: Path, graph: BinaryGraph) -> bytes:
    """An ONNX model of one node that names the binary, as ONNX Runtime loads it; a session of it is told the folder."""
    import onnx

    node = onnx.helper.make_node(
        "EPContext",
        [one.name for one in graph.inputs],
        [one.name for one in graph.outputs],
        name=graph.name,
        domain="com.microsoft",
        main_context=1,
        embed_mode=0,
        ep_cache_context=path.name,
        source=htp.PROVIDER,
        partition_name=graph.name,
    )
    inputs, outputs = (
        [
            onnx.helper.make_tensor_value_info(
                one.name, onnx.helper.np_dtype_to_tensor_dtype(np.dtype(one.dtype)), list(one.sizes)
            )
            for one in side
        ]
        for side in (graph.inputs, graph.outputs)
    )
    opsets = [onnx.helper.make_opsetid("", 17), onnx.helper.make_opsetid("com.microsoft", 1)]
    made = onnx.helper.make_model(
        onnx.helper.make_graph([node], "binary", inputs, outputs), opset_imports=opsets, ir_version=8
    )
    return bytes(made.SerializeToString())


def the_graph(path: Path) -> BinaryGraph:
    """The graph of a binary that holds one. Raises :class:`ModelNotSupported` for several, and what :func:`read` does."""
    graphs = read(path).graphs
    if len(graphs) != 1:
        raise ModelNotSupported(
            f"{path.name} holds {len(graphs)} graphs, and Qualcomm's simulator loads files of one",
            hint="the file of each graph alone has its numbers",
        )
    return graphs[0]


def _facts(path: Path, binary: Any) -> BinaryFacts:
    if binary.version != _VERSION_3:
        raise ModelNotSupported(f"{path.name} was built by an older QNN, version {binary.version} of its description")
    graphs = tuple(
        BinaryGraph(_text(one.name), _specs(one.input, one.inputs), _specs(one.output, one.outputs))
        for one in binary.graph[: binary.graphs]
    )
    return BinaryFacts(_text(binary.build).removeprefix("v"), int(binary.soc_model), graphs)


def _specs(tensors: Any, count: int) -> tuple[TensorSpec, ...]:
    return tuple(
        TensorSpec(_text(one.name), _TYPES.get(one.type, f"type {one.type:#x}"), tuple(one.sizes[: one.rank]))
        for one in tensors[:count]
    )


def _text(value: bytes | None) -> str:
    return (value or b"").decode("utf-8", "replace")
