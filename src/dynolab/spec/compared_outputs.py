"""What two inference jobs put out for the same inputs, held against each other."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from dynolab.spec.matching import Match
from dynolab.spec.quantizes import Accuracy
from dynolab.spec.verifies import AtLeast, Verdict, headline, verdict

COMPARED_OUTPUTS_SCHEMA = 1
EDGES = (1e-7, 1e-6, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1)
"""Between the columns of a picture of errors, as shares of A's largest absolute value of the output."""


@dataclass(frozen=True, slots=True)
class OutputErrors:
    """How the errors of one output lie."""

    values: int
    largest: float
    """A's largest absolute value."""
    same: int
    """Values without an error."""
    counts: tuple[int, ...]
    """Values with an error up to the first of :data:`EDGES`, between each two of them, and above the last."""
    worst_sample: int | None
    """The sample whose PSNR is least, from 1; None: none differs."""
    worst_psnr_db: float | None


@dataclass(frozen=True, slots=True)
class ComparedOutputs:
    """Errors and PSNR are of B's values against A's; outputs bear A's names."""

    schema: int
    samples: int
    outputs: tuple[Match, ...]
    shapes: Mapping[str, str]
    """Of the first sample, by output."""
    accuracy: Accuracy
    errors: Mapping[str, OutputErrors]
    """By output; those that could not be compared have none."""
    at_least: AtLeast = field(default_factory=AtLeast)
    only_a: tuple[str, ...] = ()
    only_b: tuple[str, ...] = ()

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
