"""What a verification asks for, and what it leaves: two models' outputs for the same inputs, side by side.

Times are integers in nanoseconds, memory integers in bytes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

from dynolab.errors import SpecInvalid
from dynolab.spec.compiles import DEFAULT_SEED, POOR_PSNR_DB
from dynolab.spec.matching import Match
from dynolab.spec.measurements import Notice
from dynolab.spec.models import ModelFormat
from dynolab.spec.profiles import Profile
from dynolab.spec.quantizes import Accuracy
from dynolab.spec.verify_layers import LayerChecks

VERIFIED_SCHEMA = 1
SAMPLES_MOST, SEEDED_SAMPLES = 100, 4
"""How many samples of the data are used, and how many random ones are made where there are no data."""
_LIMIT = re.compile(r"\s*([0-9]*\.?[0-9]+)\s*(dB|%)\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class AtLeast:
    """What B must reach to pass; None: that is not asked for."""

    psnr_db: float | None = POOR_PSNR_DB
    agreement: float | None = None
    """The share of a classifier's answers that are the same."""


def parse_at_least(texts: Sequence[str]) -> AtLeast:
    """Of texts such as ``40dB`` and ``99%``; none: 40 dB. Raises :class:`SpecInvalid`."""
    found: dict[str, float] = {}
    for text in texts:
        match = _LIMIT.fullmatch(text)
        if match is None or (match[2] == "%" and float(match[1]) > 100):
            raise SpecInvalid(f"--at-least {text}: decibels or a share of the answers is needed", hint="40dB, or 99%")
        if match[2].lower() in found:
            raise SpecInvalid(f"--at-least {text}: {match[2]} is given twice")
        found[match[2].lower()] = float(match[1])
    if not found:
        return AtLeast()
    return AtLeast(found.get("db"), found["%"] / 100 if "%" in found else None)


@dataclass(frozen=True, slots=True)
class VerifySide:
    """One model, and how it is run."""

    model: Path
    runtime: str | None = None
    """None: the format's own."""
    options: str = ""


@dataclass(frozen=True, slots=True)
class VerifySpec:
    """One verification: two models, or one that is run in two ways, and the inputs of both."""

    a: VerifySide
    b: VerifySide
    data: Path | None = None
    """As for a quantize job; None: random inputs."""
    samples: int | None = None
    """How many at most, of the data; how many, of random ones."""
    seed: int = DEFAULT_SEED
    input_shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    """By A's names."""
    input_ranges: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    at_least: AtLeast = AtLeast()
    layers: bool | None = None
    """Whether layers are compared, too; None: where the numbers are poor."""
    times: bool = False
    """Whether it is measured what the layers take."""
    profiles: tuple[Profile, ...] = ()
    """Of A or B, each on its side's runtime: what their layers take."""
    timeout_s: float = 1800.0
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class VerifiedSide:
    """One model as it was run."""

    name: str
    format: ModelFormat
    sha256: str
    runtime: str
    options: str
    versions: Mapping[str, str]
    effective: Mapping[str, str]
    """Threads, precision, optimisation level: what was in effect, as the runtime tells it."""
    device: str | None = None
    """On which it ran, with its address; None: on the machine that compares."""


class Verdict(StrEnum):
    """The answer of a verification."""

    EQUAL = "equal"
    CLOSE = "close"
    """Within what was asked for."""
    POOR = "poor"
    NOT_COMPARED = "not-compared"
    """Some or all outputs could not be compared."""


@dataclass(frozen=True, slots=True)
class Verified:
    """What a verification found. Errors and PSNR are of B's values against A's."""

    schema: int
    a: VerifiedSide
    b: VerifiedSide
    samples: int
    data: str | None
    """The data's name; None: random inputs of ``seed``."""
    seed: int
    inputs: tuple[Match, ...]
    outputs: tuple[Match, ...]
    shapes: Mapping[str, str]
    """Shape of each input and output by A's name, as ``input:x`` and ``output:y``."""
    accuracy: Accuracy
    at_least: AtLeast
    time_ns: int
    peak_bytes: int
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()
    """Outputs that the other one lacks."""
    layers: LayerChecks | None = None
    layers_reason: str | None = None
    """Why layers were not compared, where that was to be."""
    notices: tuple[Notice, ...] = ()

    @property
    def verdict(self) -> Verdict:
        """Whether B gives A's numbers."""
        return verdict(self.accuracy, self.at_least)

    @property
    def passes(self) -> bool:
        """Whether all was compared, and reached what was asked for."""
        return self.verdict in (Verdict.EQUAL, Verdict.CLOSE)

    @property
    def headline(self) -> str:
        """The answer in a line, in English."""
        return headline(self.accuracy)


def verdict(accuracy: Accuracy, at_least: AtLeast) -> Verdict:
    """Whether one model gives another's numbers."""
    checks, limit_db = accuracy.outputs, at_least.psnr_db
    if any(one.psnr_db is not None and limit_db is not None and one.psnr_db < limit_db for one in checks):
        return Verdict.POOR
    if at_least.agreement is not None and (accuracy.agreement or 0.0) < at_least.agreement:
        return Verdict.POOR
    if any(one.max_abs_error is None for one in checks):
        return Verdict.NOT_COMPARED
    return Verdict.EQUAL if all(one.is_equal for one in checks) else Verdict.CLOSE


def headline(accuracy: Accuracy) -> str:
    """How one model's numbers stand to another's: ``62.3 dB at least (logits), within 0.0012; 30 of 30 answers agree``."""
    missing = [one for one in accuracy.outputs if one.max_abs_error is None]
    if len(missing) == len(accuracy.outputs):
        return f"not compared: {missing[0].reason}" if missing else "not compared: there are no outputs"
    worst = accuracy.worst
    told = "the same numbers, bit by bit"
    if worst is not None and worst.psnr_db is not None:
        named = f" ({worst.name})" if len(accuracy.outputs) > 1 else ""
        largest = max(one.max_abs_error for one in accuracy.outputs if one.max_abs_error is not None)
        told = f"{worst.psnr_db:.1f} dB{' at least' if named else ''}{named}, errors up to {largest:.2g}"
    answers = [f"{accuracy.agreeing} of {accuracy.answers} answers agree"] if accuracy.answers else []
    lacking = [f"not compared: {', '.join(one.name for one in missing)}"] if missing else []
    return "; ".join([told, *answers, *lacking])


def sides_of(
    models: tuple[Path, Path | None],
    runtimes: str | None,
    each: tuple[str | None, str | None],
    options: tuple[str, str],
    devices: tuple[str | None, str | None] = (None, None),
) -> tuple[VerifySide, VerifySide]:
    """Both sides as they are typed; ``devices`` are their addresses.

    Raises :class:`SpecInvalid` where there is nothing to compare, or two runtimes for one side.
    """
    a, b = models
    if runtimes is not None:
        if any(each):
            raise SpecInvalid("--runtimes names both runtimes, and --runtime-a or --runtime-b is given, too")
        names = [name.strip() for name in runtimes.split(",")]
        if len(names) != 2 or not all(names):
            raise SpecInvalid(f"--runtimes {runtimes}: two names are needed", hint="such as onnxruntime,openvino")
        each = names[0], names[1]
    if b is None and (each[0], options[0], devices[0]) == (each[1], options[1], devices[1]):
        raise SpecInvalid(
            f"{a} has nothing to be compared with",
            hint="name a second model, two runtimes (--runtimes onnxruntime,openvino), or a device for one of them "
            "(--device-b ssh://pi@board)",
        )
    return VerifySide(a, each[0], options[0]), VerifySide(b or a, each[1], options[1])
