"""Several models as graphs of one context binary, which hold common weights once: QNN links graphs while it builds them."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from dynolab.errors import ModelNotSupported, UserError
from dynolab.runtimes import _qnn_binary as binaries
from dynolab.spec.chipsets import Chipset
from dynolab.spec.compiles import Npu
from dynolab.spec.links import LinkedGraph
from dynolab.spec.measurements import Notice
from dynolab.toolchains import _qnn as qnn
from dynolab.toolchains.base import Order

ENTRY = "linked.bin"


@dataclass(frozen=True, slots=True)
class Part:
    """One of the models: what it is called, and what is to be built of it."""

    name: str
    order: Order


@dataclass(frozen=True, slots=True)
class Joined:
    """What was made of all of them."""

    graphs: tuple[LinkedGraph, ...]
    npu: Npu
    separate_bytes: int | None
    notices: tuple[Notice, ...]


def link(parts: Sequence[Part], folder: Path, scratch: Path) -> Joined:
    """Write the binary into the folder. Raises :class:`UserError`, naming the model that cannot be part of it.

    Each is built alone first: that tells what binaries of their own take, and which model is at fault where one is.
    """
    chipset = qnn.chipset_of(parts[0].order)
    ready, alone = [], []
    for number, part in enumerate(parts):
        try:
            ready.append(qnn.prepare(part.order, scratch / str(number)))
            alone.append(qnn.build_context(ready[-1].source, chipset))
        except UserError as error:
            raise type(error)(f"{part.name}: {error.message}", hint=error.hint, details=error.details) from error
    built = alone if len(parts) == 1 else _together([one.source for one in ready], chipset, scratch)
    target = folder / ENTRY
    shutil.copyfile(built[0].binary, target)
    names = tuple(one.graphs[0] for one in built)
    joined = zip(names, parts, ready, built, strict=True)
    graphs = tuple(LinkedGraph(name, a.name, b.inputs, b.outputs, c.operators) for name, a, b, c in joined)
    _check_graphs(target, graphs)
    operators = sum(one.operators for one in built)
    return Joined(
        graphs=graphs,
        npu=Npu(chipset.name, chipset.soc_model, chipset.hexagon, names, operators, built[0].sdk),
        separate_bytes=sum(one.binary.stat().st_size for one in alone) if len(parts) > 1 else None,
        notices=(*(note for one in ready for note in one.notices), *_notices(chipset, len(parts))),
    )


def _together(sources: Sequence[Path], chipset: Chipset, root: Path) -> list[qnn.Built]:
    """All graphs in one binary, by sessions that live until the last is there."""
    sessions = []
    for number, source in enumerate(sources):
        entries = {"ep.share_ep_contexts": "1"}
        if number == len(sources) - 1:
            entries["ep.stop_share_ep_contexts"] = "1"
        wrapper = f"linked-{number}.onnx"
        sessions.append(qnn.open_building(root, source.relative_to(root), chipset, wrapper, entries))
    built = [qnn.built_context(root / f"linked-{number}.onnx", one, chipset) for number, one in enumerate(sessions)]
    if len({one.binary for one in built}) != 1:
        raise ModelNotSupported(f"the compiler does not link graphs for {chipset.told}: it leaves a binary for each")
    return built


def _check_graphs(binary: Path, graphs: Sequence[LinkedGraph]) -> None:
    """Raise :class:`ModelNotSupported` where the binary, as Qualcomm's own library reads it, does not hold just these graphs."""
    found = {one.name: (one.inputs, one.outputs) for one in binaries.read(binary).graphs}
    if found != {one.name: (one.inputs, one.outputs) for one in graphs} or len(found) != len(graphs):
        raise ModelNotSupported(f"the file holds other graphs than were built: {', '.join(found)}")


def _notices(chipset: Chipset, count: int) -> tuple[Notice, ...]:
    found = [qnn.not_run(chipset)]
    if count > 1:
        text = "Qualcomm's simulator does not load a file of several graphs: its numbers were not compared with the models'"
        found.append(Notice("warning", "not-compared", text))
        if not chipset.shares_weights:
            text = f"AI Hub lists {chipset.name} as an NPU that shares no weights between graphs"
            found.append(Notice("warning", "no-weight-sharing", text))
    return tuple(found)
