"""What an inference costs in energy, as the device's own sensors tell: what was read, and what it adds up to."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class EnergySample:
    """The sensors at one instant (the device's monotonic clock), and how many iterations were done by then."""

    at_ns: int
    values: dict[str, float]
    """By the fields of the reading ``energy``: ``..._joules`` count up, ``..._watts`` are power now."""
    count: int = 0


@dataclass(frozen=True, slots=True)
class EnergyRead:
    """Samples of a while in which nothing of ours ran, and what they are of."""

    samples: tuple[EnergySample, ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    """What each sensor is, in words, by ``rapl``, ``board``, ``nvidia`` or ``battery``."""
    unavailable: dict[str, str] = field(default_factory=dict)
    """Why a sensor cannot be read, by the same names."""


@dataclass(frozen=True, slots=True)
class EnergyPass:
    """Idle whiles and loops in turn: one idle while more than there are loops."""

    idle: tuple[tuple[EnergySample, ...], ...] = ()
    loops: tuple[tuple[EnergySample, ...], ...] = ()
    sources: dict[str, str] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    reason: str | None = None
    """Why nothing was read, or no more."""


@dataclass(frozen=True, slots=True)
class SensorEnergy:
    """What one sensor tells. Watts are means; joules are of one inference, idle power taken off. None: see ``reason``."""

    source: str
    told: str
    """The sensor in words."""
    idle_watts: float | None
    loop_watts: float | None
    joules: float | None
    uncertainty_joules: float | None
    all_joules: tuple[float, ...] = ()
    """Of each loop."""
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class EnergySummary:
    """The energy of one inference, within ``uncertainty_joules`` of ``joules``; None: see ``reason``."""

    joules: float | None
    uncertainty_joules: float | None
    source: str
    """Which sensors it is of, in words; empty: none."""
    idle_watts: float | None
    loop_watts: float | None
    reason: str | None
    sensors: tuple[SensorEnergy, ...] = ()
    unavailable: dict[str, str] = field(default_factory=dict)
    measured: EnergyPass | None = None
    """What was read."""
