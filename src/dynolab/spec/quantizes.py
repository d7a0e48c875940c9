"""What a quantize job asks for, and what it leaves: the quantised model, its scales, and its numbers beside the float model's.

Times are integers in nanoseconds, memory integers in bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from dynolab.errors import SpecInvalid
from dynolab.spec.compiles import OutputCheck, Side, worst_of
from dynolab.spec.measurements import Notice
from dynolab.spec.models import FileFact
from dynolab.spec.tensors import Quantization, TensorSpec

WEIGHTS, ACTIVATIONS = ("int8", "int4"), ("int8", "int16")
POOR_PSNR_DB, POOR_AGREEMENT = 20.0, 0.9
"""Below these a quantised model is hardly the float one any more: an error of a tenth of the largest value, or one answer in ten."""
FEW_SAMPLES = 30
"""Fewer hardly show the ranges of a model's activations: AI Hub's and ONNX Runtime's guides ask for 100 and more."""
QUANTIZED_SCHEMA = 1
POOR_FILE, POOR_HERE = "quantised-poorly", "computed-poorly"
"""Codes of the notices that warn of poor numbers: as the file defines them, or only as the processor that quantised computes them."""


def check_widths(weights: str, activations: str) -> None:
    """Raise :class:`SpecInvalid` for element types that nothing is quantised to."""
    for tensors, given, taken in (("weights", weights, WEIGHTS), ("activations", activations, ACTIVATIONS)):
        if given not in taken:
            raise SpecInvalid(f"{tensors} are not quantised to {given!r}", hint=f"{' or '.join(taken)} are known")


@dataclass(frozen=True, slots=True)
class QuantizeSpec:
    """One quantize job: a float model, data that its activations' ranges are taken from, and a folder for what is made."""

    model: Path
    data: Path
    """An .h5 file of AI Hub's form, an .npz file, an .npy file for a model with one input, or a folder of such."""
    folder: Path
    weights: str = "int8"
    activations: str = "int8"
    options: str = ""
    formats: tuple[str, ...] = ()
    """What the model may be; empty: anything that is quantised."""
    timeout_s: float = 1800.0
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Accuracy:
    """A quantised model's outputs beside the float model's, for the same inputs."""

    outputs: tuple[OutputCheck, ...]
    answers: int | None = None
    """Of a model that ranks classes, with one output [N, classes]: for how many N it was asked."""
    agreeing: int | None = None
    """For how many of them both models rank the same class first."""

    @property
    def agreement(self) -> float | None:
        """The share of answers that are the same; None where the model ranks no classes."""
        return self.agreeing / self.answers if self.answers and self.agreeing is not None else None

    @property
    def worst(self) -> OutputCheck | None:
        """The output that parts most from the float model's."""
        return worst_of(self.outputs)

    @property
    def is_poor(self) -> bool:
        """Whether the quantised model is hardly the float one any more."""
        poor = any(one.psnr_db is not None and one.psnr_db < POOR_PSNR_DB for one in self.outputs)
        return poor or (self.agreement is not None and self.agreement < POOR_AGREEMENT)


@dataclass(frozen=True, slots=True)
class Quantized:
    """What a quantize job left."""

    schema: int
    name: str
    """The float model's file name."""
    entry: str
    """The quantised model's file, below the folder that was asked for."""
    files: tuple[FileFact, ...]
    weights: str
    activations: str
    range_scheme: str
    """The one that was used, where ``auto`` was asked for."""
    inputs: tuple[TensorSpec, ...]
    outputs: tuple[TensorSpec, ...]
    quantizations: tuple[Quantization, ...]
    """Of those inputs and outputs that are quantised right behind or before."""
    source: Side
    quantized: Side
    tools: Mapping[str, str]
    """Version by distribution."""
    options: str
    calibration_samples: int
    time_ns: int
    """Wall time of the process until the quantised model was written; the comparison of numbers comes after."""
    peak_bytes: int
    """The most memory that the process held resident until then."""
    check_samples: int = 0
    held_out: bool = False
    """Whether the numbers were compared on samples that were kept from the calibration."""
    accuracy: Accuracy | None = None
    """As the file defines the numbers: quantised and computed with exactly."""
    accuracy_here: Accuracy | None = None
    """As the runtime computes them on the processor that quantised, with all its optimisations."""
    check_reason: str | None = None
    """Why the numbers were not compared."""
    notices: tuple[Notice, ...] = ()

    @property
    def is_poor(self) -> bool:
        """Whether its numbers are poor, as the file defines them or as they are computed here."""
        return any(one is not None and one.is_poor for one in (self.accuracy, self.accuracy_here))


def figures(accuracy: Accuracy) -> str:
    """The least PSNR and the agreement, in words: ``38.2 dB, 99 of 100 answers agree``."""
    worst = accuracy.worst
    texts: Sequence[str] = (
        () if worst is None else ("the same numbers" if worst.psnr_db is None else f"{worst.psnr_db:.1f} dB",)
    )
    if accuracy.answers:
        texts = (*texts, f"{accuracy.agreeing} of {accuracy.answers} answers agree")
    return ", ".join(texts) or "no figure"
