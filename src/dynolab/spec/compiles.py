"""What a compile job asks for, and what it leaves: the compiled model, its tensors, and its numbers beside the source's.

Times are integers in nanoseconds, memory integers in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dynolab.errors import SpecInvalid
from dynolab.spec.input_shapes import parse_pairs, parse_shapes
from dynolab.spec.measurements import Notice
from dynolab.spec.models import FileFact, ModelFormat
from dynolab.spec.tensors import ELEMENT_BYTES, Quantization, TensorSpec

DEFAULT_SEED = 20250
DIMENSIONS_MOST, INPUT_BYTES_MOST = 16, 1 << 32
POOR_PSNR_DB = 40.0
"""Below it a compiled float model is another model to most who use it: an error of a hundredth of the largest value."""


@dataclass(frozen=True, slots=True)
class InputSpec:
    """Shape and element type that a compiled model's input gets; of a PyTorch model, its name as well, by their order."""

    shape: tuple[int, ...]
    dtype: str = "float32"


def parse_input_specs(texts: Sequence[str], what: str = "input spec") -> dict[str, InputSpec]:
    """Shape and element type by input name, of texts such as ``image=1,3,224,224`` and ``ids=1,128:int64``."""
    found = {}
    for name, value in parse_pairs(texts, what, "image=1,3,224,224, or count=():int64 for a scalar").items():
        shape, _, dtype = value.partition(":")
        sizes = parse_shapes([f"{name}={shape}"], what)[name]
        found[name] = InputSpec(sizes, dtype.strip() or "float32")
    return found


def check_input_specs(specs: Mapping[str, InputSpec]) -> None:
    """Raise :class:`SpecInvalid` for an element type that there is not, or a shape that no tensor here has."""
    for name, asked in specs.items():
        if asked.dtype not in ELEMENT_BYTES:
            raise SpecInvalid(
                f"input {name!r}: there is no element type {asked.dtype!r}",
                hint=f"such as {', '.join(list(ELEMENT_BYTES)[:14])}",
            )
        size = ELEMENT_BYTES[asked.dtype]
        for length in asked.shape:
            size *= length
        if len(asked.shape) > DIMENSIONS_MOST or any(length < 1 for length in asked.shape) or size > INPUT_BYTES_MOST:
            raise SpecInvalid(f"input {name!r}: the shape {list(asked.shape)} is no size of a tensor that fits here")


@dataclass(frozen=True, slots=True)
class CompileSpec:
    """One compile job: a model, options in AI Hub's grammar, and a folder that the compiled model is put into."""

    model: Path
    folder: Path
    options: str = ""
    input_specs: Mapping[str, InputSpec] = field(default_factory=dict)
    seed: int = DEFAULT_SEED
    """Of the inputs that both models are fed with to compare their numbers."""
    formats: tuple[str, ...] = ()
    """What the model may be; empty: anything that a toolchain takes."""
    chipset: str = ""
    """Of targets that are made for one: its name, number or generation, see :mod:`dynolab.spec.chipsets`."""
    timeout_s: float = 1800.0
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class OutputCheck:
    """One output of the compiled model beside the source's, for the same inputs."""

    name: str
    max_abs_error: float | None
    """None: it cannot be told, see ``reason``."""
    psnr_db: float | None
    """Peak signal-to-noise ratio, the peak being the source's largest absolute value; None where the two are equal."""
    reason: str | None = None

    @property
    def is_equal(self) -> bool:
        """Whether the two are the same, bit by bit."""
        return self.max_abs_error == 0

    @property
    def is_poor(self) -> bool:
        """Whether the numbers are not the source's any more."""
        return self.psnr_db is not None and self.psnr_db < POOR_PSNR_DB


class Numbers(StrEnum):
    """How a compiled model's numbers stand to its source's."""

    EQUAL = "equal"
    CLOSE = "close"
    POOR = "poor"
    NOT_COMPARED = "not-compared"


@dataclass(frozen=True, slots=True)
class Side:
    """The source or the compiled model: what its files say of it."""

    format: ModelFormat
    file_bytes: int
    operators: int | None = None
    parameters: int | None = None
    precision: str | None = None
    schema: str | None = None


@dataclass(frozen=True, slots=True)
class Npu:
    """What a model was built for that runs on an NPU, as the compiler and its file tell."""

    chipset: str
    soc_model: int
    hexagon: str
    """The NPU's generation, such as ``v73``."""
    graphs: tuple[str, ...]
    """Their names in the file: an application asks for them by these."""
    operators: int
    """That the NPU computes, after ONNX Runtime's optimisations; none is left to the CPU."""
    sdk: str
    """The version of Qualcomm's AI Runtime that built it."""

    @property
    def told(self) -> str:
        """The same in a line, in English."""
        graphs = f"graph{'s' if len(self.graphs) > 1 else ''} {', '.join(self.graphs)}"
        return f"{self.chipset} (soc-model {self.soc_model}), Hexagon {self.hexagon}; all {self.operators} operators on it; {graphs}"


@dataclass(frozen=True, slots=True)
class Compiled:
    """What a compile job left."""

    schema: int
    target: str
    name: str
    """The source's file name."""
    entry: str
    """The compiled model's file, below the folder that was asked for."""
    files: tuple[FileFact, ...]
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    source: Side
    compiled: Side
    tools: Mapping[str, str]
    """Version by distribution."""
    options: str
    time_ns: int
    """Wall time of the toolchain's process until the compiled model was written; the comparison of numbers comes after."""
    peak_bytes: int
    """The most memory that the process held resident until then."""
    checks: tuple[OutputCheck, ...] = ()
    check_reason: str | None = None
    """Why the numbers were not compared."""
    notices: tuple[Notice, ...] = ()
    quantizations: tuple[Quantization, ...] = ()
    """Of those inputs and outputs that are integers for real numbers."""
    npu: Npu | None = None
    beside: tuple[FileFact, ...] = ()
    """Files that lie beside the model and are no part of it: what QNN was given, which a link takes."""

    @property
    def largest_error(self) -> float | None:
        """Of any value of any output that was compared; None: nothing was."""
        return max((one.max_abs_error for one in self.checks if one.max_abs_error is not None), default=None)

    @property
    def lowest_psnr_db(self) -> float | None:
        """Of the output that parts most from the source's; None: nothing was compared, or nothing differs."""
        return min((one.psnr_db for one in self.checks if one.psnr_db is not None), default=None)

    @property
    def not_compared(self) -> tuple[str, ...]:
        """Names of the outputs that could not be compared, where others were."""
        return tuple(one.name for one in self.checks if one.max_abs_error is None)

    @property
    def numbers(self) -> Numbers:
        """How the numbers stand to the source's, as far as they were compared."""
        if self.check_reason is not None or self.largest_error is None:
            return Numbers.NOT_COMPARED
        if any(one.is_poor for one in self.checks):
            return Numbers.POOR
        return Numbers.EQUAL if self.largest_error == 0 else Numbers.CLOSE

    @property
    def headline(self) -> str:
        """The same in a line, in English."""
        if self.numbers is Numbers.NOT_COMPARED:
            reason = self.check_reason or next((one.reason for one in self.checks if one.reason), "it has no outputs")
            return f"its numbers were not compared: {reason}"
        told = "the same numbers, bit by bit"
        if self.numbers is not Numbers.EQUAL:
            told = f"numbers within {self.largest_error:.2g} of the source's ({self.lowest_psnr_db:.1f} dB)"
        told += ", on a simulator" if self.npu is not None else ""
        missing = ", ".join(self.not_compared)
        return f"{told}; not compared: {missing}" if missing else told


def worst_of(checks: Sequence[OutputCheck]) -> OutputCheck | None:
    """The output that parts most from the source's; None: nothing was compared."""
    told = [one for one in checks if one.max_abs_error is not None]
    return min(told, key=lambda one: one.psnr_db if one.psnr_db is not None else float("inf"), default=None)


COMPILED_SCHEMA = 1
