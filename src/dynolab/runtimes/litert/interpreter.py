"""The classic interpreter of LiteRT, for what CompiledModel cannot run: outputs whose length nobody knows before a run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dynolab.errors import InferenceFailed, ModelNotSupported
from dynolab.runtimes._numpy import np
from dynolab.runtimes.base import Array, Session, Target
from dynolab.spec.measurements import Notice
from dynolab.spec.tensors import TensorSpec

API = "Interpreter"


class InterpreterSession(Session):
    """The file's first graph with its inputs allocated; the interpreter makes the outputs in each run."""

    def __init__(self, target: Target, signature: str | None, threads: int) -> None:
        """``signature``: the one that was asked for, else the file's first."""
        from ai_edge_litert.interpreter import Interpreter

        self._interpreter: Any = Interpreter(str(target.model), num_threads=threads or None)
        self._threads = threads
        self._inputs, self._outputs = interpreter_ports(self._interpreter, signature)
        for name, place in self._inputs.items():
            if name in target.shapes:
                self._interpreter.resize_tensor_input(place, target.shapes[name])
        self._interpreter.allocate_tensors()
        self.inputs = _specs(self._inputs, self._interpreter.get_input_details())
        self.outputs = _specs(self._outputs, self._interpreter.get_output_details())

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        try:
            for name, place in self._inputs.items():
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
        return {name: np.array(self._interpreter.get_tensor(place)) for name, place in self._outputs.items()}

    def notices(self) -> tuple[Notice, ...]:
        text = "the length of an output is known after a run only: measured with LiteRT's Interpreter, CompiledModel has none"
        return (Notice("loud", "interpreter", text),)

    def effective(self) -> dict[str, str]:
        whose = "as asked" if self._threads else "the library's default"
        return {
            "api": API,
            "threads": f"{self._threads or 1} ({whose})",
            "delegate": "XNNPACK",
            "precision": "as in the file (no XNNPACK flag is set)",
            "xnnpack_weight_cache": "none",
        }

    def close(self) -> None:
        self._interpreter = None


def interpreter_ports(interpreter: Any, signature: str | None) -> tuple[dict[str, int], dict[str, int]]:
    """Numbers of an interpreter's inputs and outputs, by the names that the signature gives them, where there is one."""
    ports = interpreter.get_input_details(), interpreter.get_output_details()
    known = interpreter.get_signature_list()
    if not known:
        return _by_name(ports[0], {}), _by_name(ports[1], {})
    runner = interpreter.get_signature_runner(signature or next(iter(known)))
    if runner._subgraph_index:
        raise ModelNotSupported(
            "only the file's first signature may have outputs of unknown length: LiteRT runs no other such graph",
            hint="leave --tflite_options signature out, or export the signature as a file of its own",
        )
    return _by_name(ports[0], runner.get_input_details()), _by_name(ports[1], runner.get_output_details())


def _by_name(ports: Sequence[Mapping[str, Any]], named: Mapping[str, Mapping[str, Any]]) -> dict[str, int]:
    names = {detail["index"]: name for name, detail in named.items()}
    return {names.get(port["index"], port["name"]): port["index"] for port in ports}


def _specs(places: Mapping[str, int], ports: Sequence[Mapping[str, Any]]) -> tuple[TensorSpec, ...]:
    known = {port["index"]: port for port in ports}
    return tuple(
        TensorSpec(name, np.dtype(known[place]["dtype"]).name, tuple(map(int, known[place]["shape"])))
        for name, place in places.items()
    )
