"""The process that links models, confined: it builds each alone, and then all of them into one file.

Started by ``link``; ``order.json`` in its folder says what is wanted.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic_ns

from dynolab.jobs import _toolchain_child as shared
from dynolab.spec import link_options
from dynolab.spec.chipsets import chipset_named
from dynolab.spec.compile_options import parse
from dynolab.spec.compiles import InputSpec
from dynolab.spec.links import LINKED_SCHEMA, Linked
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.toolchains import _qnn as qnn
from dynolab.toolchains import _qnn_link as linking
from dynolab.toolchains.base import Order, versions


@dataclass(frozen=True, slots=True)
class WantedGraph:
    """One of the models."""

    name: str
    model: str
    format: ModelFormat
    file_bytes: int
    options: str = ""
    input_specs: dict[str, InputSpec] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the process is asked for."""

    graphs: tuple[WantedGraph, ...]
    chipset: str
    options: str = ""
    notices: tuple[Notice, ...] = ()


def link_all(folder: Path, wanted: Wanted, begun_ns: int) -> Linked:
    """The linked file's document; the file is left in the folder. Raises what the toolchain raises."""
    qnn.check_options(link_options.parse(wanted.options).plain)
    made, scratch = shared.folders(folder)
    parts = [
        linking.Part(one.name, _order(one, wanted, scratch / f"order-{number}"))
        for number, one in enumerate(wanted.graphs)
    ]
    joined = linking.link(parts, made, scratch)
    time_ns, peak_bytes = shared.spent(begun_ns)
    return Linked(
        schema=LINKED_SCHEMA,
        entry=linking.ENTRY,
        files=shared.files(made),
        graphs=joined.graphs,
        npu=joined.npu,
        file_bytes=(made / linking.ENTRY).stat().st_size,
        tools=versions(name for one in wanted.graphs for name in qnn.QnnToolchain.sources[one.format]),
        options=wanted.options,
        time_ns=time_ns,
        peak_bytes=peak_bytes,
        separate_bytes=joined.separate_bytes,
        notices=tuple(dict.fromkeys((*wanted.notices, *joined.notices))),
    )


def _order(one: WantedGraph, wanted: Wanted, scratch: Path) -> Order:
    scratch.mkdir()
    return Order(
        model=Path(one.model),
        format=one.format,
        file_bytes=one.file_bytes,
        folder=scratch,
        scratch=scratch,
        options=parse(one.options),
        input_specs=one.input_specs,
        chipset=chipset_named(wanted.chipset),
    )


if __name__ == "__main__":
    begun_ns = monotonic_ns()
    sys.exit(shared.main(sys.argv[1:], Wanted, lambda folder, wanted: link_all(folder, wanted, begun_ns)))
