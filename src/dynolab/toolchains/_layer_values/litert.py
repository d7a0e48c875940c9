"""TFLite models: LiteRT's interpreter keeps all tensors, and runs its own kernels rather than a delegate's."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dynolab.errors import ModelNotSupported
from dynolab.runtimes.litert import schema
from dynolab.runtimes.litert.interpreter import interpreter_ports
from dynolab.spec.models import ModelFormat
from dynolab.spec.options import Options
from dynolab.toolchains._layer_values.base import InnerTensor, LayerValues, Sample, Traced
from dynolab.toolchains.base import Array


class TfliteTraced(Traced):
    """One interpreter, which holds all tensors at once."""

    def __init__(self, path: Path) -> None:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType

        file = schema.read(path)
        resolver = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        try:
            self._interpreter: Any = Interpreter(
                str(path),
                num_threads=1,
                experimental_op_resolver_type=resolver,
                experimental_preserve_all_tensors=True,
            )
        except (RuntimeError, ValueError) as error:
            raise ModelNotSupported(f"LiteRT's interpreter does not load the model: {error}") from error
        self._inputs, _ = interpreter_ports(self._interpreter, None)
        self._details: dict[int, Mapping[str, Any]] = {
            one["index"]: one for one in self._interpreter.get_tensor_details()
        }
        self._places = {one["name"]: one["index"] for one in self._details.values()}
        self._shapes: dict[str, tuple[int, ...]] = {}
        self.tensors = tuple(_tensors(file))

    def reader(self, wanted: Sequence[str]) -> Callable[[Sample], list[Array]]:
        """As the base says."""
        places = [self._places[name] for name in wanted]

        def run(sample: Sample) -> list[Array]:
            self._sized({name: array.shape for name, array in sample.items()})
            try:
                for name, place in self._inputs.items():
                    self._interpreter.set_tensor(place, sample[name])
                self._interpreter.invoke()
                return [self._real(place) for place in places]
            except (RuntimeError, ValueError) as error:
                raise ModelNotSupported(f"the model does not run on the data: {error}") from error

        return run

    def _sized(self, shapes: dict[str, tuple[int, ...]]) -> None:
        if shapes == self._shapes:
            return
        for name, place in self._inputs.items():
            self._interpreter.resize_tensor_input(place, shapes[name])
        self._interpreter.allocate_tensors()
        self._shapes = shapes

    def _real(self, place: int) -> Array:
        values = np.array(self._interpreter.get_tensor(place))
        told = self._details[place]["quantization_parameters"]
        if len(told["scales"]) != 1 or values.dtype.kind not in "iu":
            return values
        made: Array = ((values.astype(np.float32) - told["zero_points"][0]) * told["scales"][0]).astype(np.float32)
        return made


def _tensors(file: schema.TfliteFile) -> Iterator[InnerTensor]:
    graph = file.main
    sources: dict[int, str] = dict(zip(graph.inputs, file.input_names, strict=True))
    for number, operation in enumerate(graph.operations):
        read = tuple(dict.fromkeys(sources[place] for place in operation.inputs if place in sources))
        for place in operation.outputs if read else ():
            name = graph.tensors[place].name
            sources[place] = name
            yield InnerTensor(name, f"{operation.name} {number}", operation.name, read, name)


class TfliteLayerValues(LayerValues):
    """Of the file's first graph."""

    name = "litert"
    formats = (ModelFormat.TFLITE,)

    def open(self, model: Path, kind: ModelFormat, options: Options) -> Traced:
        """As the base says; options change how it is computed, and not what."""
        del kind, options
        return TfliteTraced(model)


plugin = TfliteLayerValues()
