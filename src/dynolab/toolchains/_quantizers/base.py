"""What a quantizer is: it makes a model of integers of a float model and calibration data, in a process of its own."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar

from dynolab.errors import ModelNotSupported, PluginMissing
from dynolab.plugins import load, names
from dynolab.spec.compiles import Side
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.spec.quantize_options import QuantizeOptions
from dynolab.spec.tensors import Quantization, TensorSpec
from dynolab.toolchains import base as toolchains
from dynolab.toolchains.base import Array

PACKAGE = "dynolab.toolchains._quantizers"
Sample = Mapping[str, Array]
"""One array for each input, by its name."""
Model = Callable[[Sample], list[Array]]
"""A model that is open: its outputs, in order, for a sample."""


@dataclass(frozen=True, slots=True)
class QuantizeOrder:
    """What to quantise: the float model, where to write, and how."""

    model: Path
    format: ModelFormat
    file_bytes: int
    """Of all files that the model consists of."""
    folder: Path
    """Empty, and the quantizer's own: what is in it afterwards is the quantised model."""
    scratch: Path
    """For what is left on the way."""
    weights: str
    activations: str
    options: QuantizeOptions


@dataclass(frozen=True, slots=True)
class QuantizedModel:
    """A quantised model, and how it differs from the float one."""

    entry: str
    range_scheme: str
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    """Those that are tensors."""
    output_names: tuple[str, ...]
    """All, in the model's order."""
    quantizations: tuple[Quantization, ...]
    source: Side
    quantized: Side
    notices: tuple[Notice, ...] = ()


class Quantizer(ABC):
    """A way to quantise models of one format. Instances import nothing: the tools' libraries come in with the first use."""

    name: ClassVar[str]
    """The format that it quantises, as :class:`ModelFormat` names it."""
    needs: ClassVar[tuple[str, ...]]
    """The distributions that it needs."""
    types: ClassVar[tuple[tuple[str, str], ...]]
    """Element types of weights and of activations that it makes, in pairs."""
    options: ClassVar[tuple[str, ...]]
    """Options that have an effect."""
    reasons: ClassVar[Mapping[str, str]] = {}
    """Why an option is refused that AI Hub has."""

    def unavailable(self) -> str | None:
        """Why it cannot be used here, with the way out, or None. Imports nothing."""
        return toolchains.missing(self.needs)

    def versions(self) -> dict[str, str]:
        """Version of each distribution that is installed, by name."""
        return toolchains.versions(self.needs)

    def check(self, weights: str, activations: str, options: QuantizeOptions) -> None:
        """Raise :class:`ModelNotSupported` and :class:`PluginMissing` for what cannot be done, by its name."""
        if (reason := self.unavailable()) is not None:
            raise PluginMissing(f"{self.name} models cannot be quantised here: {reason}")
        if (weights, activations) not in self.types:
            pairs = ", ".join("/".join(pair) for pair in self.types)
            raise ModelNotSupported(
                f"{self.name} models are not quantised to {weights} weights with {activations} activations",
                hint=f"these are made, weights/activations: {pairs}",
            )
        for name in options.given:
            if name not in self.options:
                reason = self.reasons.get(name, "it has no such way")
                raise ModelNotSupported(f"--{name} is not done for {self.name} models: {reason}", hint="leave it out")

    @abstractmethod
    def inputs(self, order: QuantizeOrder) -> tuple[TensorSpec, ...]:
        """The float model's inputs. Raises :class:`~dynolab.errors.UserError` for what is no such model."""

    @abstractmethod
    def quantize(self, order: QuantizeOrder, samples: Sequence[Sample]) -> QuantizedModel:
        """Write the quantised model into ``order.folder``; ranges of activations come from the samples.

        Raises a :class:`~dynolab.errors.UserError` that names what the model has that cannot be quantised.
        """

    @abstractmethod
    def open_float(self, order: QuantizeOrder) -> Model:
        """The float model as it was given."""

    @abstractmethod
    def open_quantized(self, order: QuantizeOrder, made: QuantizedModel, *, exact: bool) -> Model:
        """The quantised model: as its file defines the numbers (``exact``), or as the runtime computes them on this processor."""


def quantizer_of(kind: ModelFormat) -> Quantizer:
    """The quantizer of a format. Raises :class:`ModelNotSupported`."""
    known = names(PACKAGE)
    if str(kind) not in known:
        raise ModelNotSupported(
            f"{kind} models are not quantised",
            hint=f"these are: {', '.join(known)}; `dynolab compile MODEL` makes ONNX of a PyTorch model",
        )
    found = load(PACKAGE, str(kind))
    assert isinstance(found, Quantizer)
    return found
