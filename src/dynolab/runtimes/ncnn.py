"""ncnn, on the CPU. A model is a text of layers (``.param``) and their weights (``.bin``)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

from dynolab.errors import LoadFailed, ModelInvalid, SpecInvalid
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
from dynolab.spec.measurements import ComputeUnit, Layer, RuntimeRow
from dynolab.spec.models import Description, ModelFormat
from dynolab.spec.option_grammar import Kind, KnownOption
from dynolab.spec.tensors import TensorSpec

if TYPE_CHECKING:
    import types

MAGIC = "7767517"
SIZES = ("2", "11", "1", "0")
"""Keys of an Input layer's channels, depth, height and width (src/layer/input.cpp), outermost first."""
RANKS = range(1, 5)
AS_IT_IS = 1
"""The kind of an extraction that converts nothing (src/net.h)."""
LAYER_NOTE = "each layer's time holds about 2 µs of Python's own, since its results are asked for one by one"
OF_OPTIONS = {"fp16": ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic"), "winograd": ("use_winograd_convolution",),
              "packing": ("use_packing_layout",)}  # fmt: skip
"""Fields of ncnn's Option that an option of ours sets."""


def library() -> types.ModuleType:
    """ncnn's module."""
    import ncnn

    module: types.ModuleType = ncnn
    return module


def layers_of(param: Path) -> list[list[str]]:
    """The words of each layer's line: type, name, how many inputs and outputs, their names, then its settings.

    Raises :class:`ModelInvalid`.
    """
    try:
        lines = [line.split() for line in param.read_text(encoding="utf-8").splitlines() if line.strip()]
        if lines[0] != [MAGIC]:
            raise ValueError(f"it begins with {' '.join(lines[0])[:40]!r}")
        if len(lines) - 2 != int(lines[1][0]) or any(len(line) < 4 for line in lines[2:]):
            raise ValueError(f"{lines[1][0]} layers were promised, {len(lines) - 2} came")
    except (ValueError, IndexError) as error:
        raise ModelInvalid(f"{param.name} is not a whole ncnn model: {error}", hint="convert it again") from error
    return lines[2:]


def inputs_of(param: Path, asked: Mapping[str, tuple[int, ...]]) -> tuple[TensorSpec, ...]:
    """The inputs: an Embed layer takes whole numbers, all others take float32. Raises :class:`SpecInvalid` for an open shape."""
    lines = layers_of(param)
    embedded = {line[4] for line in lines if line[0] == "Embed" and len(line) > 4}
    found = []
    for name, told in (
        (line[4], dict(word.partition("=")[::2] for word in line[5:])) for line in lines if line[0] == "Input"
    ):
        shape = asked.get(name) or tuple(
            int(told[key]) for key in SIZES if told.get(key, "0").isdecimal() and int(told.get(key, "0"))
        )
        if len(shape) not in RANKS:
            raise SpecInvalid(
                f"{param.name} does not tell the shape of the input {name!r}, of 1 to 4 dimensions without a batch",
                hint=f"give it: --input-shape {name}=3,224,224",
            )
        found.append(TensorSpec(name, "int32" if name in embedded else "float32", shape))
    return tuple(found)


class NcnnSession(Session):
    """A net; each inference goes through an extractor of its own, as ncnn has it."""

    takes_any_shape = True

    def __init__(self, net: Any, inputs: tuple[TensorSpec, ...]) -> None:
        self._net, self.inputs = net, inputs
        self.outputs = tuple(TensorSpec(name, "float32", (None,)) for name in net.output_names())
        self._kept: list[Array] = []
        self._given: list[tuple[str, Any]] = []
        self._last: dict[str, Any] = {}

    def bind(self, inputs: Mapping[str, Array], outputs: Mapping[str, TensorSpec]) -> None:
        self._kept = [np.ascontiguousarray(inputs[spec.name]) for spec in self.inputs]
        mats = zip(self.inputs, self._kept, strict=True)
        self._given = [(spec.name, library().Mat(array)) for spec, array in mats]  # it uses the array's own memory

    def runner(self) -> Callable[[], object]:
        net, given, names, last = self._net, self._given, [spec.name for spec in self.outputs], self._last

        def infer() -> None:
            extractor = net.create_extractor()
            for name, mat in given:
                extractor.input(name, mat)
            for name in names:
                code, last[name] = extractor.extract(name)
                if code:
                    raise RuntimeError(f"ncnn ends with the code {code} at the output {name}")

        return infer

    def recorded(self) -> list[Layer]:
        """The layers of one run: each one's results are asked for in turn, as they are, once those before it are there."""
        blobs = [blob.name for blob in self._net.blobs()]
        extractor, layers = self._net.create_extractor(), list[Layer]()
        for name, mat in self._given:
            extractor.input(name, mat)
        for one in self._net.layers():
            if one.type == "Input":
                continue
            before = perf_counter_ns()
            made = [extractor.extract(blobs[top], AS_IT_IS)[1] for top in one.tops]
            taken = perf_counter_ns() - before
            size = sum(mat.total() * mat.elemsize for mat in made)
            layers.append(Layer(one.name, one.type, ComputeUnit.CPU, taken, output_bytes=size))
            del made  # a result that somebody holds is copied by layers that work in place
        return layers

    def fetch(self) -> dict[str, Array]:
        return {name: np.array(mat) for name, mat in self._last.items()}

    def effective(self) -> dict[str, str]:
        told = self._net.opt
        found = {"num_threads": str(told.num_threads)}
        return found | {name: str(getattr(told, name)).lower() for names in OF_OPTIONS.values() for name in names}

    def close(self) -> None:
        self._given, self._last = [], {}
        self._net.clear()


class Ncnn(Runtime):
    """ncnn."""

    name = "ncnn"
    formats = (ModelFormat.NCNN,)
    distributions = ("ncnn",)
    units = (ComputeUnit.CPU,)
    options = (
        KnownOption("num_threads", Kind.INTEGER, "Threads; not given: ncnn's own choice.", minimum=1),
        KnownOption("fp16", Kind.BOOLEAN, "Whether float16 may hold values and compute."),
        KnownOption("winograd", Kind.BOOLEAN, "Whether convolutions may use Winograd's way."),
        KnownOption("packing", Kind.BOOLEAN, "Whether channels are packed for vector instructions."),
    )
    row = RuntimeRow(
        artifact=None,
        wiped="nothing: on a CPU ncnn has no cache",
        lazy="nothing: weights are packed when they are loaded",
    )

    def import_library(self) -> None:
        library()

    def describe(self, target: Target) -> Description:
        layers = layers_of(target.model)
        consumed = {name for line in layers for name in line[4 : 4 + int(line[2])]}
        made = [name for line in layers for name in line[4 + int(line[2]) : 4 + int(line[2]) + int(line[3])]]
        outputs = tuple(TensorSpec(name, "float32", (None,)) for name in made if name not in consumed)
        reason = "ncnn's text of layers does not tell how they keep their weights"
        unknown = dict.fromkeys(("parameters", "parameter_bytes", "precision", "multiply_accumulates"), reason)
        count = sum(line[0] not in ("Input", "Split") for line in layers)
        return Description(inputs_of(target.model, target.shapes), outputs, operators=count, unknown=unknown)

    def load(self, target: Target) -> Session:
        return self._session(target)

    def layers(
        self, target: Target, inputs: Mapping[str, Array], iterations: int, watch: Watch = UNWATCHED
    ) -> LayerRecording:
        session = self._session(target)
        session.bind(inputs, {})
        warm_up_layers(session.runner())
        found = [watch(session.recorded) for _ in range(iterations)]
        session.close()
        return LayerRecording(found, resolution_ns=1_000, note=LAYER_NOTE)

    def _session(self, target: Target) -> NcnnSession:
        check_units(target.options, self.units, self.name)
        net = library().Net()
        _set(net.opt, self.own_options(target.options))
        for load, file in ((net.load_param, target.model), (net.load_model, target.model.with_suffix(".bin"))):
            if load(str(file)):
                raise LoadFailed(
                    f"ncnn cannot load {file.name}: the log has its reason",
                    hint="a layer that it lacks, or a file that is not whole: convert the model again",
                )
        blobs = [blob.name for blob in net.blobs()]
        embedded = {blobs[layer.bottoms[0]] for layer in net.layers() if layer.type == "Embed"}
        kinds = {name: "int32" if name in embedded else "float32" for name in net.input_names()}
        return NcnnSession(net, tuple(TensorSpec(name, kind, target.shapes[name]) for name, kind in kinds.items()))


def _set(option: Any, given: Mapping[str, object]) -> None:
    """Set what was given: what was not keeps ncnn's default. The CPU computes, also where there is Vulkan."""
    option.use_vulkan_compute = False
    for name, value in given.items():
        for field in OF_OPTIONS.get(name, (name,)) if value is not None else ():
            setattr(option, field, value)


plugin = Ncnn()
