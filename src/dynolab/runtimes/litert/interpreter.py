"""The classic interpreter of LiteRT, for what CompiledModel cannot run: outputs whose length nobody knows before a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dynolab.errors import InferenceFailed, ModelNotSupported
from dynolab.runtimes.base import Array, Session, Target
from dynolab.runtimes.litert.schema import TfliteFile
from dynolab.spec.measurements import Notice
from dynolab.spec.tensors import TensorSpec


class InterpreterSession(Session):
    """The file's first graph with its inputs allocated; the interpreter makes the outputs in each run."""

    def __init__(self, target: Target, file: TfliteFile, threads: int) -> None:
        from ai_edge_litert.interpreter import Interpreter

        if file.main is not file.graphs[0]:
            raise ModelNotSupported(
                "only the file's first signature may have outputs of unknown length: LiteRT runs no other such graph",
                hint="leave --tflite_options signature out, or export the signature as a file of its own",
            )
        self._interpreter: Any = Interpreter(str(target.model), num_threads=threads or None)
        self._threads, self._file = threads, file
        for place, name in zip(file.main.inputs, file.input_names, strict=True):
            if name in target.shapes:
                self._interpreter.resize_tensor_input(place, target.shapes[name])
        self._interpreter.allocate_tensors()
        self.inputs = self._specs(file.main.inputs, file.input_names)
        self.outputs = self._specs(file.main.outputs, file.output_names)

    def _specs(self, places: tuple[int, ...], names: tuple[str, ...]) -> tuple[TensorSpec, ...]:
        details = {item["index"]: item for item in self._interpreter.get_tensor_details()}
        return tuple(
            TensorSpec(name, self._file.main.tensors[place].dtype, tuple(map(int, details[place]["shape"])))
            for place, name in zip(places, names, strict=True)
        )

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        try:
            for place, name in zip(self._file.main.inputs, self._file.input_names, strict=True):
                self._interpreter.set_tensor(place, inputs[name])
        except ValueError as error:
            raise InferenceFailed(f"LiteRT refused an input: {error}") from error

    def runner(self) -> Callable[[], object]:
        invoke = self._interpreter.invoke

        def run() -> None:
            try:
                invoke()
            except RuntimeError as error:
                raise InferenceFailed(f"LiteRT could not run the model: {error}") from error

        return run

    def fetch(self) -> dict[str, Array]:
        places = zip(self._file.main.outputs, self._file.output_names, strict=True)
        return {name: np.array(self._interpreter.get_tensor(place)) for place, name in places}

    def notices(self) -> tuple[Notice, ...]:
        text = "the length of an output is known after a run only: measured with LiteRT's Interpreter, CompiledModel has none"
        return (Notice("loud", "interpreter", text),)

    def effective(self) -> dict[str, str]:
        whose = "as asked" if self._threads else "the library's default"
        return {
            "api": "Interpreter",
            "threads": f"{self._threads or 1} ({whose})",
            "delegate": "XNNPACK",
            "precision": "as in the file (no XNNPACK flag is set)",
            "xnnpack_weight_cache": "none",
        }

    def close(self) -> None:
        self._interpreter = None
