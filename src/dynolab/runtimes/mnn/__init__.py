"""MNN, with its Interpreter, on the CPU."""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from dynolab.errors import LoadFailed, ModelInvalid, ModelNotSupported
from dynolab.runtimes._numpy import np
from dynolab.runtimes.base import (
    UNWATCHED,
    Array,
    LayerRecording,
    Runtime,
    Session,
    Target,
    Watch,
    check_units,
    warm_up_layers,
)
from dynolab.runtimes.mnn.net import read
from dynolab.spec.measurements import ComputeUnit, Layer, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.option_grammar import Kind, KnownOption
from dynolab.spec.tensors import TensorSpec

if TYPE_CHECKING:
    import types

TYPES = {
    "Float": "float32",
    "Double": "float64",
    "Int": "int32",
    "Int64": "int64",
    "Uint8": "uint8",
    "String": "string",
}
"""MNN's Halide_Type_... by numpy's name."""
BACKENDS = {0: "CPU", 13: "CPU_EXTENSION"}
"""MNNForwardType (include/MNN/MNNForwardType.h); the extension is the CPU's wide vector instructions."""
SESSION_BACKENDS, SESSION_THREADS = 2, 4
"""Interpreter::SessionInfoCode (include/MNN/Interpreter.hpp)."""
LAYER_NOTE = "each layer's time holds about 1 µs of Python's own, since its beginning and end are told to Python"


def library() -> types.ModuleType:
    """MNN's module."""
    import MNN

    module: types.ModuleType = MNN
    return module


class MnnSession(Session):
    """An Interpreter's session. MNN may reuse the memory of inputs once they were read, so each run fills them in anew."""

    def __init__(self, interpreter: Any, session: Any) -> None:
        self._interpreter, self._session = interpreter, session
        self._places = interpreter.getSessionInputAll(session)
        self.inputs = specs(self._places)
        self.outputs = specs(interpreter.getSessionOutputAll(session))
        self._given: list[tuple[Any, Any]] = []

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        self._given = [(place.copyFrom, host(place, inputs[name])) for name, place in self._places.items()]

    def runner(self) -> Callable[[], object]:
        run, session, given = self._interpreter.runSession, self._session, self._given

        def infer() -> None:
            for fill, values in given:
                fill(values)
            code = run(session)
            if code:
                raise RuntimeError(f"MNN ends with the error code {code}")

        return infer

    def recorded(self) -> list[Layer]:
        """The layers of one run."""
        begun, layers = 0, list[Layer]()

        def begin(tensors: Sequence[Any], about: Any) -> bool:
            nonlocal begun
            begun = perf_counter_ns()
            return True

        def end(tensors: Sequence[Any], about: Any) -> bool:
            taken = perf_counter_ns() - begun
            layers.append(Layer(about.getName(), about.getType(), ComputeUnit.CPU, taken, output_bytes=sizes(tensors)))
            return True

        for fill, values in self._given:
            fill(values)
        self._interpreter.runSessionWithCallBackInfo(self._session, begin, end)
        return layers

    def fetch(self) -> dict[str, Array]:
        found = {}
        for name, place in self._interpreter.getSessionOutputAll(self._session).items():
            values = np.empty(place.getShape(), element_type(place))
            target = host(place, values)
            place.copyToHostTensor(target)
            found[name] = np.array(target.getNumpyData()).reshape(values.shape)
        return found

    def effective(self) -> dict[str, str]:
        about = self._interpreter.getSessionInfo
        backend = int(about(self._session, SESSION_BACKENDS))
        # The binding reads the integer's bytes as a float's.
        [threads] = struct.unpack("<i", struct.pack("<f", about(self._session, SESSION_THREADS)))
        return {"num_threads": str(threads), "backend": BACKENDS.get(backend, str(backend))}

    def close(self) -> None:
        self._given, self._places = [], {}
        self._session = self._interpreter = None


def element_type(place: Any) -> np.dtype[Any]:
    """Numpy's type of a tensor's elements. Raises :class:`ModelNotSupported` for text."""
    kind = place.getDataType()
    name = next((name for word, name in TYPES.items() if kind == getattr(library(), f"Halide_Type_{word}")), "string")
    if name == "string":
        raise ModelNotSupported("the model has a tensor of text, which is not fed to MNN here", hint="cut it off")
    return np.dtype(name)


def specs(places: Mapping[str, Any]) -> tuple[TensorSpec, ...]:
    """Inputs or outputs of a session."""
    return tuple(
        TensorSpec(name, element_type(place).name, tuple(map(int, place.getShape()))) for name, place in places.items()
    )


def host(place: Any, values: Array) -> Any:
    """A tensor of the same shape in plain memory, with these values: channels are where the model says, never packed."""
    mnn = library()
    kind = place.getDimensionType()
    plain = kind if kind == mnn.Tensor_DimensionType_Tensorflow else mnn.Tensor_DimensionType_Caffe
    return mnn.Tensor(values.shape, place.getDataType(), np.ascontiguousarray(values), plain)


def sizes(tensors: Sequence[Any]) -> int:
    """Bytes of the tensors that a layer gives: of four bytes an element, which all that MNN computes in has."""
    return sum(4 * int(np.prod(tensor.getShape())) for tensor in tensors)


class Mnn(Runtime):
    """MNN."""

    name = "mnn"
    formats = (ModelFormat.MNN,)
    distributions = ("mnn",)
    units = (ComputeUnit.CPU,)
    options = (
        KnownOption("num_threads", Kind.INTEGER, "Threads; not given: MNN's own choice.", minimum=1),
        KnownOption("precision", Kind.WORD, "How exact layers are.", allowed=("normal", "high", "low")),
        KnownOption("memory", Kind.WORD, "Whether memory or speed is saved.", allowed=("normal", "high", "low")),
    )
    row = RuntimeRow(
        artifact=None,
        wiped="nothing: on a CPU MNN has no cache",
        lazy="nothing: memory is planned, and weights are packed, when the session is made",
    )

    def import_library(self) -> None:
        library()

    def describe(self, target: Target) -> Description:
        told = read(target.model)
        session = self._session(target)
        declared = {**told.inputs, **target.shapes}
        inputs = tuple(TensorSpec(one.name, one.dtype, declared.get(one.name, one.shape)) for one in session.inputs)
        outputs = session.outputs
        session.close()
        reason = "an MNN file keeps its weights inside its operators"
        unknown = dict.fromkeys(("parameters", "parameter_bytes", "precision", "multiply_accumulates"), reason)
        return Description(inputs, outputs, operators=told.operators, unknown=unknown)

    def load(self, target: Target) -> Session:
        return self._session(target)

    def _session(self, target: Target) -> MnnSession:
        check_units(target.options, self.units, self.name)
        given = {key: value for key, value in self.own_options(target.options).items() if value is not None}
        config = {"backend": "CPU", **{{"num_threads": "numThread"}.get(key, key): one for key, one in given.items()}}
        try:
            interpreter = library().Interpreter(str(target.model))
        except Exception as error:
            raise ModelInvalid(f"{target.model.name} is no model that MNN reads: {error}") from error
        session = interpreter.createSession(config)
        _resize(interpreter, session, target)
        return MnnSession(interpreter, session)

    def layers(
        self, target: Target, inputs: Mapping[str, Array], iterations: int, watch: Watch = UNWATCHED
    ) -> LayerRecording:
        session = self._session(target)
        session.bind(inputs, {})
        warm_up_layers(session.runner())
        found = [watch(session.recorded) for _ in range(iterations)]
        session.close()
        return LayerRecording(found, resolution_ns=1_000, note=LAYER_NOTE)


def _resize(interpreter: Any, session: Any, target: Target) -> None:
    """Give inputs the shapes that are asked for. Raises :class:`LoadFailed` where the model does not take them."""
    places = interpreter.getSessionInputAll(session)
    other = {name: shape for name, shape in target.shapes.items() if tuple(places[name].getShape()) != tuple(shape)}
    for name, shape in other.items():
        interpreter.resizeTensor(places[name], tuple(shape))
    if other:
        interpreter.resizeSession(session)
    for name, place in interpreter.getSessionOutputAll(session).items():
        if any(size < 0 for size in place.getShape()):
            raise LoadFailed(
                f"MNN cannot tell the shape of the output {name} for inputs of the shapes {dict(target.shapes)}"
            )


plugin = Mnn()
