"""What a link job asks for, and what it leaves: several models as graphs of one file, which share their weights.

Times are integers in nanoseconds, memory integers in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from dynolab.spec.measurements import Notice
from dynolab.spec.models import FileFact
from dynolab.spec.show import show_bytes
from dynolab.spec.tensors import TensorSpec

LINKED_SCHEMA = 1


@dataclass(frozen=True, slots=True)
class LinkSpec:
    """One link job: compiled models, one or more, and a folder for what is made."""

    models: tuple[Path, ...]
    folder: Path
    options: str = ""
    made_for: tuple[str, ...] = ()
    """Attributes of the device that the file is for, such as ``soc-model:43``; empty: what the models were compiled for."""
    formats: tuple[tuple[str, ...], ...] = ()
    """What each model may be; empty: anything that is linked."""
    timeout_s: float = 1800.0
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class LinkedGraph:
    """One graph of the file, and the model that it was."""

    name: str
    """As a program asks the file for it."""
    source: str
    """The model's file name."""
    source_bytes: int
    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()


@dataclass(frozen=True, slots=True)
class Linked:
    """What a link job left."""

    schema: int
    name: str
    """The models' file names, joined by `` + ``."""
    entry: str
    """The file, below the folder that was asked for."""
    files: tuple[FileFact, ...]
    graphs: tuple[LinkedGraph, ...]
    chipset: str
    """What it was made for, in words."""
    file_bytes: int
    tools: Mapping[str, str]
    """Version by distribution."""
    options: str
    time_ns: int
    """Wall time of the process until the file was written."""
    peak_bytes: int
    """The most memory that the process held resident."""
    apart_bytes: int | None = None
    """What the same models take as files of their own for the same device; None: not known."""
    notices: tuple[Notice, ...] = ()
    """What could not be verified among them."""

    @property
    def headline(self) -> str:
        """Graphs and size, in words: ``2 graphs, 680 kB, where the files apart take 1.15 MB``."""
        count = len(self.graphs)
        said = f"{count} graph{'s' if count != 1 else ''}, {show_bytes(self.file_bytes)}"
        apart = self.apart_bytes if count > 1 else None
        return said if apart is None else f"{said}, where the files apart take {show_bytes(apart)}"
