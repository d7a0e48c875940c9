"""ONNX models: any tensor becomes an output of a session without optimisations, so that it is as the file defines it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

from dynolab.spec.models import ModelFormat
from dynolab.spec.options import Options
from dynolab.toolchains import _onnx_graph as graphs
from dynolab.toolchains import _onnx_model as onnx_model
from dynolab.toolchains._layer_values.base import InnerTensor, LayerValues, Sample, Traced
from dynolab.toolchains.base import Array

_INTO, _BACK = "QuantizeLinear", "DequantizeLinear"


class OnnxTraced(Traced):
    """Nothing is held between two batches but the file's own content."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._model = onnx_model.read(path, weights=False)
        self.tensors = tuple(_tensors(self._model.graph))

    def reader(self, wanted: Sequence[str]) -> Callable[[Sample], list[Array]]:
        """As the base says."""
        import onnx

        outputs = self._model.graph.output  # not of a copy: it may hold a gigabyte of weights
        del outputs[:]
        outputs.extend(onnx.helper.make_empty_tensor_value_info(name) for name in wanted)
        return onnx_model.runner(onnx_model.open_content(self._model.SerializeToString(), self._path.parent))


def _tensors(graph: Any) -> Iterator[InnerTensor]:
    """Quantising and its reverse are no layers: they belong to the node whose output they round."""
    behind = _behind(graph)
    known = {value.name for value in graphs.fed_inputs(graph)}
    sources: dict[str, str] = {name: name for name in known}
    for number, node in enumerate(graph.node):
        read = tuple(dict.fromkeys(sources[name] for name in node.input if name in sources))
        if not read:
            continue
        if node.op_type in (_INTO, _BACK):
            sources[node.output[0]] = read[0]
            continue
        for name in filter(None, node.output):
            at = behind.get(name, name)
            title = node.name or f"{node.op_type} {number}"
            sources[name] = name
            yield InnerTensor(name, title, node.op_type, read, at)
            if at != name:  # an output of the model bears its name behind
                yield InnerTensor(at, title, node.op_type, (name,), at)


def _behind(graph: Any) -> dict[str, str]:
    """What comes out where a tensor is quantised and dequantised again, by the tensor."""
    rounded = {node.output[0]: node.input[0] for node in graph.node if node.op_type == _INTO}
    found: dict[str, str] = {}
    for node in graph.node:
        if node.op_type == _BACK and node.input[0] in rounded:
            found.setdefault(rounded[node.input[0]], node.output[0])
    return found


class OnnxLayerValues(LayerValues):
    """Of ONNX files; ONNX Runtime's own format holds what it made of one."""

    name = "onnxruntime"
    formats = (ModelFormat.ONNX,)

    def open(self, model: Path, kind: ModelFormat, options: Options) -> Traced:
        """As the base says; options change how it is computed, and not what."""
        del kind, options
        return OnnxTraced(model)


plugin = OnnxLayerValues()
