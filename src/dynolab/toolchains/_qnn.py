"""What QNN's three targets have in common: ONNX Runtime hands the whole graph to Qualcomm's compiler, which builds it for a chipset."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from contextlib import chdir
from dataclasses import dataclass
from pathlib import Path
from time import monotonic_ns
from typing import Any, ClassVar

from dynolab.errors import ModelNotSupported, SpecInvalid
from dynolab.runtimes import _htp as htp
from dynolab.runtimes import _qnn_binary as binaries
from dynolab.runtimes.onnxruntime.types import spec
from dynolab.spec.chipsets import Chipset
from dynolab.spec.compiles import Npu, Side
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.spec.option_grammar import OptionValue
from dynolab.spec.tensors import Quantization, TensorSpec
from dynolab.toolchains import _onnx_model as onnx_model
from dynolab.toolchains import _quantized_ends as ends
from dynolab.toolchains import _runs as runs
from dynolab.toolchains.base import RUNTIMES, Array, Made, Order, Toolchain

SIMULATED_MAX_S = 300.0
"""One inference of a vision transformer takes the simulator a minute; what takes longer is not waited for."""
SHARE_OF_TIME = 0.8
"""Of what is left of the job's time: the model is made already, and is not to be lost to a comparison."""
SOURCE_FOLDER = "source"
_CONTEXT = "context.onnx"


@dataclass(frozen=True, slots=True)
class Built:
    """What the compiler left: an ONNX file with one node that holds a context, the context beside it, and who computes what."""

    wrapper: Path
    binary: Path
    graphs: tuple[str, ...]
    operators: int
    sdk: str


@dataclass(frozen=True, slots=True)
class Ready:
    """An ONNX file as QNN is given it."""

    source: Path
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    quantizations: tuple[Quantization, ...]
    notices: tuple[Notice, ...]


class QnnToolchain(Toolchain):
    """Float models are computed as float16; everything has to be the NPU's, or the model is refused."""

    sources = {kind: (*needed, htp.DISTRIBUTION) for kind, needed in onnx_model.SOURCES.items()}
    options = (*onnx_model.OPTIONS, "quantize_io", "quantize_io_type", "compute_unit", "qairt_version")
    told: ClassVar[Mapping[str, str]] = {
        "qnn_graph_name": "ONNX Runtime names the graph itself",
        "qnn_options": "ONNX Runtime names the graph itself",
    }
    for_chipset = True

    def unavailable(self, source: ModelFormat | None = None) -> str | None:
        """As the base says; the machine's kind matters, too."""
        return super().unavailable(source) or htp.unavailable()

    def compile(self, order: Order) -> Made:
        """As the base says."""
        chipset = chipset_of(order)
        check_options(order.options.plain)
        ready = prepare(order, order.scratch / "qnn")
        built = self.build(ready.source, chipset)
        entry = self.write(order, ready.source, built)
        size = (order.folder / entry).stat().st_size
        npu = Npu(chipset.name, chipset.soc_model, chipset.hexagon, built.graphs, built.operators, built.sdk)
        return Made(
            entry=entry,
            format=self.makes,
            inputs=ready.inputs,
            outputs=ready.outputs,
            output_names=tuple(one.name for one in ready.outputs),
            source=runs.side(RUNTIMES[order.format], order.model, order.format, order.file_bytes, order.scratch),
            compiled=Side(self.makes, size, schema=f"QNN {built.sdk}"),
            notices=(
                *ready.notices,
                *_notices(chipset, self.simulated_text, is_float=ends.computes_floats(ready.source)),
            ),
            quantizations=ready.quantizations,
            npu=npu,
            beside=SOURCE_FOLDER if (order.folder / SOURCE_FOLDER).is_dir() else None,
        )

    simulated_text: ClassVar[str] = (
        "the numbers are a simulator's: the file was run on Qualcomm's for x86; how close a device comes to it is not known"
    )

    def build(self, source: Path, chipset: Chipset) -> Built:
        """A context of the whole graph, beside its source. Raises :class:`ModelNotSupported`."""
        return build_context(source, chipset)

    def write(self, order: Order, source: Path, built: Built) -> str:
        """Write the target's file into the order's folder; its name there."""
        raise NotImplementedError

    def simulated(self, order: Order, made: Made) -> Path:
        """The file that the simulator runs."""
        del made  # of the targets that differ
        return order.scratch / "qnn" / _CONTEXT

    def reference(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says; of quantised inputs and outputs their real numbers."""
        return onnx_model.reference(order, made.output_names, ends.real(inputs, made.quantizations))

    def run(self, order: Order, made: Made, inputs: Mapping[str, Array]) -> list[Array]:
        """As the base says, on the simulator."""
        left = float("inf") if order.ends_ns is None else (order.ends_ns - monotonic_ns()) / 1e9 * SHARE_OF_TIME
        max_s = max(1.0, min(SIMULATED_MAX_S, left))
        found = htp.simulate(self.simulated(order, made), chipset_of(order), inputs, order.scratch / "simulated", max_s)
        named = ends.real(dict(zip(made.output_names, found, strict=True)), made.quantizations)
        return list(named.values())


def chipset_of(order: Order) -> Chipset:
    """The chipset that an order names. Raises :class:`SpecInvalid`."""
    if order.chipset is None:
        raise SpecInvalid("a QNN target is made for one chipset, and none is named", hint="such as --chipset sm8550")
    return order.chipset


def prepare(order: Order, place: Path) -> Ready:
    """The ONNX file that QNN is given, in a new folder. Raises :class:`~dynolab.errors.UserError`."""
    place.mkdir(parents=True)
    source, session, notices = onnx_model.make(order, place)
    if (kept := next((one for one in notices if one.code == "shapes-stay-open"), None)) is not None:
        raise ModelNotSupported(f"a graph on the NPU has no open dimensions: {kept.text}")
    _check_shapes(session)
    edited, more = ends.quantize(source, order.options)
    session = onnx_model.open_session(source) if edited else session
    inputs, outputs = (tuple(map(spec, nodes)) for nodes in (session.get_inputs(), session.get_outputs()))
    return Ready(source, inputs, outputs, tuple(edited), (*notices, *more))


def build_context(source: Path, chipset: Chipset) -> Built:
    """As :meth:`QnnToolchain.build` says."""
    session = open_building(source.parent, Path(source.name), chipset, _CONTEXT)
    return built_context(source.parent / _CONTEXT, session, chipset)


def open_building(
    root: Path, source: Path, chipset: Chipset, wrapper: str, entries: Mapping[str, str] | None = None
) -> Any:
    """A session that writes the context of a model into the folder ``root``, below which ``source`` lies.

    The graph's name follows from the file's path: relative, it is the same wherever the work is done.
    """
    asked = {"ep.context_enable": "1", "ep.context_file_path": wrapper, "ep.context_embed_mode": "0"}
    with chdir(root):
        return htp.open_session(source, chipset, {**asked, **(entries or {})})


def built_context(wrapper: Path, session: Any, chipset: Chipset) -> Built:
    """What such a session left. Raises :class:`ModelNotSupported` where it is not one graph, or not for the chipset."""
    import onnx

    operators = sum(one.total() for one in htp.assigned(session).values())
    model = onnx.load(str(wrapper))
    nodes = [node for node in model.graph.node if node.op_type == "EPContext"]
    if len(nodes) != 1 or len(model.graph.node) != 1:
        raise ModelNotSupported(
            f"the NPU of {chipset.told} takes the model in {len(nodes)} parts, and not as one graph",
            hint="the operators between them are ONNX Runtime's: leave them out of the model",
        )
    binary = wrapper.parent / _attribute(nodes[0], "ep_cache_context")
    graph = _attribute(nodes[0], "partition_name")
    _check_binary(binary, chipset, graph)
    return Built(wrapper, binary, (graph,), operators, htp.built_for(model, chipset))


def not_run(chipset: Chipset) -> Notice:
    """What nobody can promise of anything that is built here."""
    text = f"no {chipset.name} was at hand: whether the file loads there, and how fast it is, is not known"
    return Notice("warning", "not-run-on-a-device", text)


def keep_source(order: Order, source: Path) -> None:
    """Leave what QNN was given beside the model: QNN links graphs that it builds, and not what it built."""
    kept = order.folder / SOURCE_FOLDER
    kept.mkdir()
    for path in (source, source.with_suffix(".data")):
        if path.exists():
            shutil.copyfile(path, kept / path.name)


def _attribute(node: Any, name: str) -> str:
    return str(next(one.s for one in node.attribute if one.name == name).decode("utf-8"))


def _check_binary(binary: Path, chipset: Chipset, graph: str) -> None:
    """Raise :class:`ModelNotSupported` where a binary, as Qualcomm's own library reads it, is for another chipset or lacks the graph."""
    facts = binaries.read(binary)
    if facts.soc_model != chipset.soc_model:
        raise ModelNotSupported(f"{chipset.told} was asked for, and the binary is for soc-model {facts.soc_model}")
    if graph not in (names := [one.name for one in facts.graphs]):
        raise ModelNotSupported(f"the binary holds the graphs {', '.join(names)}, and not {graph}")


def check_options(given: Mapping[str, OptionValue]) -> None:
    """Raise :class:`SpecInvalid` for a compute unit or a version that is not here."""
    units = set(str(given.get("compute_unit", "all")).split(","))
    if not units & {"all", "npu"}:
        raise SpecInvalid(
            f"--compute_unit {','.join(sorted(units))}: a QNN model is built for the NPU alone",
            hint="--compute_unit npu, or the target onnx for others",
        )
    asked = str(given.get("qairt_version", "default"))
    own = ".".join(htp.sdk_version().split(".")[:2])
    if asked not in ("default", "latest", own):
        raise SpecInvalid(
            f"--qairt_version {asked[:40]}: Qualcomm's AI Runtime is {own} here", hint="leave it out, or give `default`"
        )


def _check_shapes(session: Any) -> None:
    """Raise :class:`SpecInvalid` for an open dimension: a graph on the NPU has none."""
    inputs, outputs = (list(map(spec, nodes)) for nodes in (session.get_inputs(), session.get_outputs()))
    for one in (*inputs, *outputs):
        if not one.bound:
            open_inputs = " ".join(_example(each) for each in inputs if not each.bound)
            raise SpecInvalid(
                f"{one.name!r} has an open dimension, {one.shape_text}, and a graph on the NPU has none",
                hint=f"give each size: {open_inputs}"
                if open_inputs
                else "its size depends on the data: leave it out of the model",
            )


def _example(one: TensorSpec) -> str:
    """How an input's whole shape can be given; open sizes are 1."""
    sizes = ",".join(str(size) if isinstance(size, int) else "1" for size in one.shape)
    return f"--input-specs {one.name}={sizes}" + ("" if one.dtype == "float32" else f":{one.dtype}")


def _notices(chipset: Chipset, simulated: str, *, is_float: bool) -> tuple[Notice, ...]:
    found = [Notice("info", "simulated", simulated), not_run(chipset)]
    if is_float and chipset.computes_floats:
        found.append(Notice("info", "float16", "floating-point numbers are computed as float16 on the NPU"))
    elif is_float:
        text = f"AI Hub lists {chipset.name} as an NPU without float16: a quantised model is safe there, this one may not be"
        found.append(Notice("warning", "no-float16", text))
    return tuple(found)
