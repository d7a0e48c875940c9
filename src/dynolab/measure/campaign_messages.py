"""A campaign as it is asked for, and what was measured in it."""

from __future__ import annotations

from dataclasses import dataclass, field

from dynolab.measure.protocol import InputWishes, Inspection, LayerPass, SustainedPass
from dynolab.spec.devices import DeviceFacts
from dynolab.spec.energy import EnergyPass
from dynolab.spec.measurements import Range
from dynolab.spec.models import FileFact, ModelFormat
from dynolab.spec.profiles import ColdProof, MemoryRun, Plan, TimingRun, TotalMemory


@dataclass(frozen=True, slots=True)
class Before:
    """A time that a device showed lately."""

    value: float
    seen_on: str
    """The day in UTC, as in ``2026-03-14``."""


@dataclass(frozen=True, slots=True)
class Campaign:
    """What is to be measured: one model under one runtime. Paths are the device's own."""

    protocol: int
    folder: str
    """Where it works, in the device's workspace."""
    runtime: str
    model: str
    format: ModelFormat
    files: tuple[str, ...]
    """All files that the model consists of."""
    options_text: str
    wishes: InputWishes
    repeats: int
    seed: int
    timeout_s: float | None = None
    memory_limit_bytes: int | None = None
    batches: tuple[dict[str, str], ...] = ()
    """Inputs to infer from, if that is asked for: for each batch the .npy file of each input."""
    measures: bool = True
    """Whether the four stages are measured."""
    best: dict[str, float] = field(default_factory=dict)
    """The reference kernel's best times on this device, by name, to judge today's by."""
    place: str = ""
    """Its place in the workspace: ``folder`` without the workspace."""


@dataclass(frozen=True, slots=True)
class Measured:
    """All that a campaign found on the device; figures are made of it elsewhere."""

    protocol: int
    error: dict[str, object] | None
    log: str
    wall_ns: int
    work_ns: int
    device: DeviceFacts
    environment: dict[str, str]
    best: dict[str, float]
    """The reference kernel's best on the device lately, and in this campaign, by name."""
    own: dict[str, float] = field(default_factory=dict)
    """The executor's own reference readings: what a model's process tells could spoil the device's record for all others."""
    plan: Plan | None = None
    inspection: Inspection | None = None
    outputs: tuple[dict[str, str], ...] = ()
    """What was inferred: for each batch the .npy file of each output, on the device."""
    compile_reason: str | None = None
    """Why the model could not be compiled here, though its runtime would."""
    timing: dict[str, tuple[TimingRun, ...]] = field(default_factory=dict)
    memory: dict[str, tuple[MemoryRun, ...]] = field(default_factory=dict)
    memory_reason: str | None = None
    memory_resolution_bytes: int = 0
    memory_method: str = ""
    """How the device's memory was read."""
    cold: tuple[ColdProof, ...] = ()
    files: dict[str, tuple[FileFact, ...]] = field(default_factory=dict)
    """Files written, by stage."""
    effective: dict[str, str] = field(default_factory=dict)
    accelerator: dict[str, dict[str, int]] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    import_times_ns: tuple[int, ...] = ()
    import_memory: tuple[Range, ...] = ()
    """Raw increases of the memory passes' imports."""
    total: TotalMemory | None = None
    floor_ns: int | None = None
    held_bytes: tuple[int, ...] = ()
    """Memory after each quarter of many iterations."""
    layer_pass: LayerPass | None = None
    energy: EnergyPass | None = None
    sustained: SustainedPass | None = None
    sustained_reason: str | None = None
    """Why a sustained run that was asked for left nothing."""
