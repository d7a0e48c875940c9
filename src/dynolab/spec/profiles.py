"""The profile document: one schema for all that was measured; every report is rendered from it.

Times are integers in nanoseconds, memory integers in bytes, unless a name says otherwise. None always stands for "not
measured", with a reason in the field beside it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise

from dynolab.spec.devices import DeviceFacts
from dynolab.spec.energy import EnergySummary
from dynolab.spec.measurements import (
    DISTURBED_FROM,
    ComputeUnit,
    Layer,
    LoopWindow,
    MemoryEdge,
    Notice,
    Range,
    RuntimeRow,
    StageName,
    SustainedWindow,
    Witnesses,
)
from dynolab.spec.models import FileFact, ModelFacts
from dynolab.spec.tensors import TensorSpec

SCHEMA_VERSION = 2
"""2: times are ranges (``TimeSummary.lower_ns``, windows, a verdict of their own)."""
READABLE_VERSIONS = (1, 2)


class Trust(StrEnum):
    """Whether a number can be trusted."""

    CLEAN = "clean"
    NOISY = "noisy"
    INVALID = "invalid"


NARROW = 0.08
"""A range whose ends differ by no more than this share of the upper one is narrow: the time is clean."""
EMULATED = "emulated"
"""Of the readings of a verdict: the device's CPU is emulated, and no time of it is clean."""
RANKS = {Trust.CLEAN: 0, Trust.NOISY: 1, Trust.INVALID: 2}
"""The worse, the larger."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """A state, the reasons for it in words, and the readings that were judged (by name; None: not available here)."""

    trust: Trust
    reasons: tuple[str, ...] = ()
    readings: dict[str, float | None] = field(default_factory=dict)

    @property
    def first_reason(self) -> str:
        """The first reason, and how many others there are."""
        more = f", and {len(self.reasons) - 1} more" if len(self.reasons) > 1 else ""
        return (self.reasons[0] if self.reasons else "no reason given") + more


@dataclass(frozen=True, slots=True)
class TimingRun:
    """One fresh process of a timing pass, counted from 1; ``values_ns`` in order, warm-up apart.

    ``chosen`` says whether its values count: not those of a process that broke a condition, where others kept it. In
    profiles of schema 1 a pass was tried again, ``attempt`` counts its tries, and one of them was chosen.
    """

    process: int
    attempt: int
    chosen: bool
    values_ns: tuple[int, ...]
    warmup_ns: tuple[int, ...]
    first_ns: int | None
    witnesses: Witnesses
    verdict: Verdict
    windows: tuple[LoopWindow, ...] = ()
    """Of the loop: which of ``values_ns`` belong together, and what disturbed them."""


@dataclass(frozen=True, slots=True)
class TimeSummary:
    """Statistics of the processes that count; the figure of the stage is ``minimum_ns``."""

    count: int
    minimum_ns: int
    median_ns: int
    p90_ns: int | None
    p99_ns: int | None
    p99_reason: str | None
    mad_ns: int
    median_interval_ns: tuple[int, int] | None
    """95 % confidence interval of the median, by bootstrap over processes and iterations."""
    per_second: float
    lower_ns: int | None = None
    """The smallest that the time could be on the undisturbed device; with ``minimum_ns`` it is the time's range. None in
    profiles of schema 1."""
    verdict: Verdict | None = None
    """How wide the range is, and why; None in profiles of schema 1."""

    @property
    def width(self) -> float | None:
        """The range's ends apart, as a share of the upper one."""
        return None if self.lower_ns is None else (self.minimum_ns - self.lower_ns) / max(1, self.minimum_ns)


@dataclass(frozen=True, slots=True)
class MemoryRun:
    """One fresh process of a memory pass, with the raw (perhaps negative) ends that its readings give."""

    process: int
    start: MemoryEdge
    end: MemoryEdge
    """Before temporaries are released and the heap is trimmed."""
    released: MemoryEdge
    """After."""
    samples: int
    largest_file_bytes: int
    """Largest file-backed resident size seen."""
    peak_raw: Range
    increase_raw: Range
    io_bytes: int
    witnesses: Witnesses
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class TotalMemory:
    """Processes that go the whole way of an app, from before the runtime's import to the loop: some cold, some warm.

    Libraries are part of these peaks. Of each kind the medians over its processes count, of the two kinds the larger ends.
    """

    peak: Range
    cold: tuple[MemoryRun, ...]
    warm: tuple[MemoryRun, ...]
    verdict: Verdict

    @property
    def worse(self) -> tuple[MemoryRun, ...]:
        """Those of the two that needed more."""
        return max(self.cold, self.warm, key=lambda runs: max((run.peak_raw.upper for run in runs), default=0))


@dataclass(frozen=True, slots=True)
class Spread:
    """Smallest and largest of each end over the repeats."""

    peak_lower: Range
    peak_upper: Range
    increase_lower: Range
    increase_upper: Range


GROWTH_NOISE_BYTES = 128 * 1024
"""Two readings that differ by no more are the same: after 300 iterations of models that keep nothing, allocators held up to 64 KiB more."""


@dataclass(frozen=True, slots=True)
class MemoryGrowth:
    """What many inferences in one process leave behind: a leak, if there is one."""

    iterations: int
    held_bytes: tuple[int, ...]
    """What only swap could take, after each quarter of the iterations."""

    @property
    def per_thousand_bytes(self) -> int:
        """Growth from the first quarter's end to the last one's, per 1,000 iterations; 0 within :data:`GROWTH_NOISE_BYTES`."""
        quarters = len(self.held_bytes)
        between = self.iterations * (quarters - 1) // max(1, quarters)
        grown = self.held_bytes[-1] - self.held_bytes[0] if between > 0 else 0
        return 0 if abs(grown) <= GROWTH_NOISE_BYTES else round(grown * 1000 / between)

    @property
    def is_steady(self) -> bool:
        """Whether it does not grow on and on: within noise, or not in every quarter."""
        steps = (after - before for before, after in pairwise(self.held_bytes))
        return self.per_thousand_bytes <= 0 or any(step <= 0 for step in steps)


@dataclass(frozen=True, slots=True)
class MemorySummary:
    """Peak and increase of a stage: medians over the repeats, with the spread apart."""

    peak: Range
    increase: Range
    spread: Spread
    resolution_bytes: int
    method: str
    runs: tuple[MemoryRun, ...]
    verdict: Verdict | None = None
    """None in profiles of schema 1."""
    growth: MemoryGrowth | None = None
    """Of the inference."""
    growth_reason: str | None = None
    """Why the inference has none; None in profiles of schema 1."""


@dataclass(frozen=True, slots=True)
class ColdProof:
    """Whether a first load was cold: what was resident just before it, and what was read from the disk in it."""

    proven: bool
    reason: str
    resident_before_bytes: int | None
    total_bytes: int
    blocks_read_bytes: int | None
    major_faults: int | None
    file_system: str | None


@dataclass(frozen=True, slots=True)
class Stage:
    """One stage: its time and memory, or the reason why it was not measured."""

    name: StageName
    reason: str | None
    """Why the whole stage was not measured, or None."""
    time: TimeSummary | None
    time_reason: str | None
    timing_runs: tuple[TimingRun, ...]
    memory: MemorySummary | None
    memory_reason: str | None
    verdict: Verdict
    cold: ColdProof | None = None
    files_written: tuple[FileFact, ...] = ()
    """Compile: the artifact's files. First load: the cache files that it left for the warm load."""
    explanation: str | None = None
    """First and warm load: what the difference between them comes from."""
    accelerator: dict[str, int] = field(default_factory=dict)
    """Accelerator memory in bytes (such as ``cuda_allocated_bytes``), never part of the host's ranges."""


@dataclass(frozen=True, slots=True)
class LayerTable:
    """All layers, each with its median over the layer pass (versions before: all of the one fastest iteration)."""

    layers: tuple[Layer, ...]
    reason: str | None
    """Why there are no layers, or None."""
    total_ns: int | None
    """The sum of the layers' times."""
    overhead: float | None
    """The total, less what ran side by side, over the inference's minimum, less 1."""
    iterations: int
    resolution_ns: int | None
    """The runtime's clock step: a layer shorter than this reads 0."""
    note: str | None = None
    calm_iterations: int | None = None
    """Of so many the times are medians; where it is 0 too few were calm, and they are the fastest of all. None: a version before counted none."""
    overlap_ns: int = 0
    """Time that counts more than once in the total, because layers ran side by side."""
    lower_sum_ns: int | None = None
    """The sum of each layer's fastest time: no inference takes less. None where layers ran side by side."""

    @property
    def is_disturbed(self) -> bool:
        """Whether the layers add up to so much more than the inference that their times and shares blame nobody."""
        return self.overhead is not None and self.overhead > DISTURBED_FROM


class SlowdownCause(StrEnum):
    """What a sustained run got slower by, as far as the device tells."""

    THROTTLING = "throttling"
    """The device says so itself: its clock fell, or it was held back for heat."""
    WAITING = "waiting"
    """Threads waited for a CPU that others had, or a quota had used up."""
    OTHER_LOAD = "other load"
    """Other processes of this machine used more of it."""
    NEIGHBOUR = "neighbour"
    """The CPU was slower at the same clock: a busy neighbour on the same core."""
    SLOWER_CPU = "slower cpu"
    """The CPU was slower, and the device does not tell its clock: throttling, or a busy neighbour."""
    UNEXPLAINED = "unexplained"
    """The CPU was as fast as before: the model itself, its memory, or an accelerator."""


@dataclass(frozen=True, slots=True)
class SustainedPart:
    """Some windows of a sustained run as one: its beginning, or its steady state. Times from the run's start."""

    begins_ns: int
    ends_ns: int
    windows: int
    iterations: int
    minimum_ns: int
    median_ns: int
    """Of the windows' medians."""
    clock_hz: float | None = None
    """Medians, where the device tells."""
    celsius: float | None = None


@dataclass(frozen=True, slots=True)
class Sustained:
    """The model inferring without a pause for a long time: does the device keep its pace (measuring.md section 9)."""

    asked_s: float
    wall_ns: int
    windows: tuple[SustainedWindow, ...]
    first: SustainedPart
    """The first minute, a quarter of a shorter run; less, where it got slower before that."""
    steady: SustainedPart
    """The second half of what comes after it got slower; of the whole run where it did not."""
    ratio: float
    """The steady state's median over the beginning's: 1.2 is 20 % slower."""
    ratio_lower: float
    ratio_upper: float
    """The range of the ratio."""
    slowed_after_ns: int | None
    """When it got slower and stayed so; None: that was not seen."""
    cause: SlowdownCause | None
    explanation: str
    """The finding in a sentence."""
    verdict: Verdict
    """How far the figures can be trusted: who else used the machine."""
    unavailable: dict[str, str] = field(default_factory=dict)
    """Reason by reading that this device does not have."""

    @property
    def throttled_after_ns(self) -> int | None:
        """The time to throttle; None: no throttling was seen, or it cannot be told from a neighbour."""
        return self.slowed_after_ns if self.cause is SlowdownCause.THROTTLING else None


@dataclass(frozen=True, slots=True)
class Tensor:
    """One input or output as it was fed: its bound spec and where shape and values came from."""

    spec: TensorSpec
    source: str
    """Such as ``random uniform [0, 1), seed 1`` or ``x.npy``."""


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """The runtime that was measured: versions, what was asked for and what was in effect."""

    name: str
    versions: dict[str, str]
    row: RuntimeRow
    effective: dict[str, str]
    """Threads, precision, optimisation level, providers and such, as the runtime reports them."""
    requested_units: tuple[ComputeUnit, ...]


@dataclass(frozen=True, slots=True)
class ImportCost:
    """Importing the runtime's library, before any stage."""

    time_ns: int
    memory: Range | None
    """Median of the ends over the memory passes."""
    all_times_ns: tuple[int, ...]
    all_memory: tuple[Range, ...] = ()
    """Of each memory pass, raw: an end may be negative."""


@dataclass(frozen=True, slots=True)
class Request:
    """What was asked for."""

    model: str
    runtime: str
    options: str
    input_shapes: dict[str, tuple[int, ...]]
    input_ranges: dict[str, tuple[float, float]]
    input_files: dict[str, str]
    repeats: int
    seed: int
    timeout_s: float | None
    memory_limit_bytes: int | None
    requirements: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """The effective plan: processes per stage and pass."""

    timing_runs: dict[str, int]
    memory_runs: dict[str, int]
    layer_iterations: int
    max_iterations: int | None
    """None: as many as the range of the time takes to get narrow, within bounds."""
    max_time_s: float
    memory_limit_method: str | None = None
    growth_iterations: int = 0
    """Inferences over which growth of memory was read."""


@dataclass(frozen=True, slots=True)
class Profile:
    """One profile: a model, a runtime, a device."""

    schema_version: int
    dynolab_version: str
    created_at: str
    """UTC, ISO 8601."""
    request: Request
    plan: Plan
    device: DeviceFacts
    environment: dict[str, str]
    model: ModelFacts
    runtime: RuntimeFacts
    inputs: tuple[Tensor, ...]
    outputs: tuple[Tensor, ...]
    compile: Stage
    first_load: Stage
    warm_load: Stage
    inference: Stage
    layers: LayerTable
    runtime_import: ImportCost | None
    first_inference_ns: int | None
    process_total_peak: Range | None
    process_total_reason: str | None
    harness_floor_ns: int | None
    wall_ns: int
    work_ns: int
    """Time inside the workers' processes, from spawn to exit: the work that the wall time stands for."""
    notices: tuple[Notice, ...]
    log: str
    """The end of the workers' output."""
    process_total: TotalMemory | None = None
    """What ``process_total_peak`` comes from; None also in profiles of versions that measured one warm process."""
    energy: EnergySummary | None = None
    """None in profiles of versions that read none."""
    sustained: Sustained | None = None
    sustained_reason: str | None = None
    """Why a sustained run that was asked for has no figures; None where none was asked for."""

    @property
    def stages(self) -> tuple[Stage, Stage, Stage, Stage]:
        """The four stages, in their order."""
        return self.compile, self.first_load, self.warm_load, self.inference
