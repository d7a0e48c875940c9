"""A duet as it is asked for, and what was measured in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from dynolab.measure.campaign_messages import Campaign, Measured
from dynolab.spec.duets import DuetPair, DuetTerms

SIDES = ("a", "b")


@dataclass(frozen=True, slots=True)
class DuetCampaign:
    """Two campaigns that take turns, and when they may stop."""

    protocol: int
    a: Campaign
    b: Campaign
    terms: DuetTerms
    seed: int


@dataclass(frozen=True, slots=True)
class DuetMeasured:
    """All that a duet found on the device. Memory passes are in either side's own document, times of both here."""

    protocol: int
    error: dict[str, object] | None
    a: Measured
    b: Measured
    pairs: tuple[DuetPair, ...] = ()
    once: dict[str, tuple[tuple[int, int], ...]] = field(default_factory=dict)
    """By stage that is timed once a process (compile and loads): the times of ``a`` and ``b``, in ns, side by side."""
    decided_after_ns: int | None = None
    wall_ns: int = 0
