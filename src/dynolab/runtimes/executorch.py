"""ExecuTorch, on the CPU, with whatever delegates a program was lowered to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from dynolab.errors import LoadFailed, ModelInvalid, ModelNotSupported
from dynolab.runtimes._numpy import np
from dynolab.runtimes.base import Array, Runtime, Session, Target, check_units
from dynolab.spec.measurements import ComputeUnit, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.option_grammar import Kind, KnownOption
from dynolab.spec.tensors import TensorSpec

TYPES = {
    0: "uint8",
    1: "int8",
    2: "int16",
    3: "int32",
    4: "int64",
    5: "float16",
    6: "float32",
    7: "float64",
    11: "bool",
}
"""Numpy's name by ScalarType (runtime/core/portable_type/scalar_type.h)."""
METHOD = "forward"


def library() -> Any:
    """The runtime's own module. The package around it imports PyTorch's exporter as well, which no app carries."""
    import torch  # noqa: F401 - the module below is linked to its libraries
    from executorch.extension.pybindings import _C

    return _C


class ExecutorchSession(Session):
    """A loaded method. Its plan of memory reuses that of inputs once they were read, so each run sets them anew."""

    def __init__(self, program: Any, name: str) -> None:
        self._program, self._method = program, program.load_method(name)  # the method does not keep its program alive
        about = self._method.method_meta()
        self.inputs, self.outputs = inputs_of(about), outputs_of(about)
        self._given: list[Any] = []

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        import torch

        self._given = [torch.from_numpy(np.require(inputs[spec.name], requirements=["C", "W"])) for spec in self.inputs]

    def runner(self) -> Callable[[], object]:
        method, given = self._method, self._given

        def infer() -> None:
            method.set_inputs(given)
            method.execute()

        return infer

    def fetch(self) -> dict[str, Array]:
        found = self._method.get_outputs()
        return {spec.name: one.detach().numpy() for spec, one in zip(self.outputs, found, strict=True)}

    def effective(self) -> dict[str, str]:
        return {"num_threads": str(library()._threadpool_get_thread_count())}

    def close(self) -> None:
        self._given, self._method, self._program = [], None, None


def inputs_of(about: Any) -> tuple[TensorSpec, ...]:
    """A program does not name its inputs: they are ``input_0`` and so on, in the order of its arguments."""
    return tuple(_spec(f"input_{at}", about.input_tensor_meta(at)) for at in range(about.num_inputs()))


def outputs_of(about: Any) -> tuple[TensorSpec, ...]:
    """Likewise of its outputs."""
    return tuple(_spec(f"output_{at}", about.output_tensor_meta(at)) for at in range(about.num_outputs()))


def _spec(name: str, told: Any) -> TensorSpec:
    kind = TYPES.get(int(told.dtype()))
    if kind is None:
        raise ModelNotSupported(f"{name} has the element type {told.dtype()} of ExecuTorch, which numpy has not")
    return TensorSpec(name, kind, tuple(map(int, told.sizes())))


class Executorch(Runtime):
    """ExecuTorch."""

    name = "executorch"
    formats = (ModelFormat.EXECUTORCH,)
    distributions = ("executorch", "torch")
    units = (ComputeUnit.CPU,)
    options = (KnownOption("num_threads", Kind.INTEGER, "Threads; not given: ExecuTorch's own choice.", minimum=1),)
    row = RuntimeRow(
        artifact=None,
        wiped="nothing: the delegates that run on a CPU keep no cache",
        lazy="first touch of the planned memory and of the mapped constants",
    )

    def import_library(self) -> None:
        library()

    def describe(self, target: Target) -> Description:
        program, name = self._program(target)
        try:
            about = program.method_meta(name)
            inputs, outputs = inputs_of(about), outputs_of(about)
        except RuntimeError as error:
            raise ModelNotSupported(f"{target.model.name} takes or gives what is no tensor: {error}") from error
        # A dimension that was exported as dynamic is told with its upper bound: any smaller one may be asked for.
        asked = tuple(TensorSpec(one.name, one.dtype, target.shapes.get(one.name, one.shape)) for one in inputs)
        reason = "ExecuTorch does not tell what is in a program"
        fields = ("operators", "parameters", "parameter_bytes", "precision", "multiply_accumulates")
        return Description(asked, outputs, unknown=dict.fromkeys(fields, reason))

    def load(self, target: Target) -> Session:
        check_units(target.options, self.units, self.name)
        threads = self.own_options(target.options)["num_threads"]
        if threads is not None and threads != library()._threadpool_get_thread_count():
            library()._unsafe_reset_threadpool(threads)
        program, name = self._program(target)
        try:
            return ExecutorchSession(program, name)
        except RuntimeError as error:
            raise LoadFailed(
                f"ExecuTorch cannot load {target.model.name}: {error}",
                hint="the log tells more: an operator or a delegate that it lacks",
            ) from error

    def _program(self, target: Target) -> tuple[Any, str]:
        """The program, and the method of it that is run: ``forward``, or its only one."""
        try:
            program = library()._load_program(str(target.model))
        except RuntimeError as error:
            raise ModelInvalid(
                f"{target.model.name} is no ExecuTorch program that is whole: {error}", hint="export it again"
            ) from error
        names = [program.get_method_name(at) for at in range(program.num_methods())]
        if METHOD not in names and len(names) != 1:
            raise ModelNotSupported(
                f"{target.model.name} has the methods {', '.join(names)}, and none is called {METHOD}",
                hint=f"export one as {METHOD}",
            )
        return program, METHOD if METHOD in names else names[0]


plugin = Executorch()
