"""What a profile job asks for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from dynolab.spec import options
from dynolab.spec.tensors import Quantization

DEFAULT_SEED = 20250


@dataclass(frozen=True, slots=True)
class ProfileSpec:
    """One profile job: a model file, a runtime (None: the format's own), options in AI Hub's grammar, inputs, limits."""

    model: Path
    runtime: str | None = None
    options: str = ""
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    input_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    input_files: Mapping[str, Path] = field(default_factory=dict)
    repeats: int | None = None
    """Fresh processes for each load and memory pass; None: as the options say."""
    seed: int = DEFAULT_SEED
    timeout_s: float | None = None
    memory_limit_bytes: int | None = None
    requirements: tuple[str, ...] = ()
    artifact: Path | None = None
    """A folder on this machine for what compile made, if that is to be kept."""
    formats: tuple[str, ...] = ()
    """What the model may be (see :class:`~dynolab.spec.models.ModelFormat`); empty: whatever it is."""

    @property
    def processes(self) -> int:
        """How many fresh processes each load and memory pass gets."""
        return self.repeats or options.parse(self.options).repeats


@dataclass(frozen=True, slots=True)
class InferenceSpec:
    """One inference job: a model and how to run it, a dataset (AI Hub's HDF5 file), and where its outputs go."""

    model: ProfileSpec
    dataset: Path
    outputs: Path
    """The file that is written: a dataset of the same form."""
    measures: bool = True
    """Whether the model is profiled as well, with the first batch as its input."""
    quantizations: tuple[Quantization, ...] = ()
    """Of the model's integers: who gives real numbers in their place gets real numbers back."""
