"""What can be told of a model's inside: its tensors in the order of computing, and their values for a sample."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dynolab.plugins import load, names
from dynolab.spec.models import ModelFormat
from dynolab.spec.options import Options
from dynolab.toolchains.base import Array

PACKAGE = "dynolab.toolchains._layer_values"
Sample = Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class InnerTensor:
    """One tensor that a node of the model puts out, and that depends on the model's inputs."""

    name: str
    node: str
    type: str
    inputs: tuple[str, ...]
    """The tensors that the node reads, of those that depend on the model's inputs."""
    at: str
    """The tensor that holds its value as they see it who read it: of a quantised one, what comes out behind."""


class Traced(ABC):
    """A model whose inside can be looked into."""

    tensors: Sequence[InnerTensor]
    """In the order of computing."""

    @abstractmethod
    def reader(self, wanted: Sequence[str]) -> Callable[[Sample], list[Array]]:
        """What gives these tensors' values for a sample; integers that stand for real numbers as those.

        Raises a :class:`~dynolab.errors.UserError`.
        """


class LayerValues(ABC):
    """How one runtime's models are looked into."""

    name: str
    """The runtime's."""
    formats: Sequence[ModelFormat]

    @abstractmethod
    def open(self, model: Path, kind: ModelFormat, options: Options) -> Traced:
        """Raises a :class:`~dynolab.errors.UserError` for a model that cannot be looked into."""


def layer_values_of(runtime: str, kind: ModelFormat) -> LayerValues | None:
    """Who looks into models that a runtime runs; None: nobody can."""
    if runtime not in names(PACKAGE):
        return None
    found = load(PACKAGE, runtime)
    assert isinstance(found, LayerValues)
    return found if kind in found.formats else None
