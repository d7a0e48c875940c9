"""What a link job asks for, and what it leaves: several models as graphs of one file, which share their weights.

Times are integers in nanoseconds, memory integers in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dynolab.spec.compiles import InputSpec, Npu
from dynolab.spec.measurements import Notice
from dynolab.spec.models import FileFact
from dynolab.spec.show import show_bytes
from dynolab.spec.tensors import TensorSpec

LINKED_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class LinkSource:
    """What one of the graphs is made of: graphs are linked while they are built, and not after."""

    model: Path
    """What a compile job takes; here also the folder that one left."""
    options: str = ""
    """Those of the compile job; the target that they name does not matter."""
    input_specs: Mapping[str, InputSpec] = field(default_factory=dict)
    formats: tuple[str, ...] = ()
    """What the model may be; empty: anything that a toolchain takes."""


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """One link job: models for one chipset, and a folder for what is made."""

    sources: tuple[LinkSource, ...]
    folder: Path
    chipset: str
    """Its name, number or generation, see :mod:`dynolab.spec.chipsets`."""
    options: str = ""
    timeout_s: float = 1800.0
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class LinkedGraph:
    """One graph of the file, and the model that it was."""

    name: str
    """As a program asks the file for it."""
    source: str
    """The model's file name."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    operators: int
    """That the NPU computes."""


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link job left."""

    schema: int
    entry: str
    """The file, below the folder that was asked for."""
    files: tuple[FileFact, ...]
    graphs: tuple[LinkedGraph, ...]
    npu: Npu
    file_bytes: int
    tools: Mapping[str, str]
    """Version by distribution."""
    options: str
    time_ns: int
    """Wall time of the process until the file was written."""
    peak_bytes: int
    """The most memory that the process held resident."""
    separate_bytes: int | None = None
    """What the same graphs take as files of their own; None: not known."""
    notices: tuple[Notice, ...] = ()
    """What could not be verified among them."""

    @property
    def name(self) -> str:
        """The models' file names, in one line."""
        return " + ".join(one.source for one in self.graphs)

    @property
    def headline(self) -> str:
        """Graphs and size, in words: ``2 graphs, 680 kB, where files of their own take 1.15 MB``."""
        count = len(self.graphs)
        said = f"{count} graph{'s' if count != 1 else ''}, {show_bytes(self.file_bytes)}"
        apart = self.separate_bytes if count > 1 else None
        return said if apart is None else f"{said}, where files of their own take {show_bytes(apart)}"
