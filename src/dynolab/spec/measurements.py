"""What one run reads on the device: instants of memory, witnesses, layers. Apart from profiles: a worker imports it.

Times are integers in nanoseconds, memory integers in bytes, unless a name says otherwise.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

DISTURBED_FROM = 0.25
"""Overhead of the layer pass above which its table is disturbed: the time that is too much lies on some layers and not on
others, so a layer's share is no longer the model's."""


class StageName(StrEnum):
    """The four stages, in their order."""

    COMPILE = "compile"
    FIRST_LOAD = "first_load"
    WARM_LOAD = "warm_load"
    INFERENCE = "inference"


class ComputeUnit(StrEnum):
    """Where a layer ran."""

    CPU = "CPU"
    GPU = "GPU"
    NPU = "NPU"


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the reader must know: ``level`` is ``info``, ``warning`` or ``loud``."""

    level: str
    code: str
    text: str


@dataclass(frozen=True, slots=True)
class Range:
    """Bytes, from what only swap could take (lower) to all that is resident (upper)."""

    lower: int
    upper: int


@dataclass(frozen=True, slots=True)
class Witnesses:
    """Readings around one pass: how much each counter grew, gauges before and after, and what is not to be had."""

    wall_ns: int
    grown: dict[str, float] = field(default_factory=dict)
    before: dict[str, float] = field(default_factory=dict)
    after: dict[str, float] = field(default_factory=dict)
    unavailable: dict[str, str] = field(default_factory=dict)
    """Reason by reading name."""


@dataclass(frozen=True, slots=True)
class LoopWindow:
    """A slice of the timed loop, between two readings of its witnesses; its iterations follow those of the one before."""

    count: int
    """Iterations in it, warm-up apart."""
    wall_ns: int
    warmup_ns: int | None = None
    """The iteration after the reading, no part of the loop's times; None where the window is of a few long ones."""
    cpu_ns: int | None = None
    """Time that threads of the process ran."""
    main_cpu_ns: int | None = None
    """Of a load or compilation: time that the thread that called the runtime ran."""
    delay_ns: int | None = None
    """Time that they were ready to run, and waited for a CPU."""
    turns: int | None = None
    """How often one of them was given a CPU."""
    throttled_ns: int | None = None
    """Time for which a CPU quota stopped them."""
    kernel_ns: int | None = None
    """The reference kernel, at the better of its two edges; of a window of few iterations at the worse."""
    kernel_threads: int = 1
    """How many ran it at once, of which this is the slowest."""
    core: str = ""
    """The type of core that it was read on, on machines that have several."""

    @property
    def threads(self) -> int:
        """Threads that ran or wanted to, on average; at least 1."""
        wanted_ns = (self.cpu_ns or 0) + (self.delay_ns or 0)
        return max(1, round(wanted_ns / max(1, self.wall_ns)))


@dataclass(frozen=True, slots=True)
class SustainedWindow:
    """A slice of a sustained run: iterations in a row, and what was read in it; None for what this device does not tell."""

    at_ns: int
    """Its start, from the run's."""
    wall_ns: int
    count: int
    """Iterations in it."""
    minimum_ns: int
    median_ns: int
    delay_ns: int | None = None
    """Time that threads were ready to run, and waited for a CPU."""
    throttled_ns: int | None = None
    """Time for which a CPU quota stopped them."""
    stolen_ns: int | None = None
    """Time that the hypervisor kept CPUs waiting, summed over them."""
    others_ns: int | None = None
    """CPU time of all other processes."""
    kernel_ns: int | None = None
    """The reference kernel: the median of its readings in the window."""
    kernel_threads: int = 1
    core: str = ""
    clock_hz: float | None = None
    """Of the fastest CPU, at the window's end; so are the following."""
    celsius: float | None = None
    """The hottest zone or GPU."""
    held_back: float | None = None
    """States of cooling devices, reasons of the firmware, and GPUs whose driver holds them back, altogether; 0: nothing slows the device down."""
    throttle_events: int | None = None
    """How often a core or package crossed its thermal threshold in the window."""


@dataclass(frozen=True, slots=True)
class MemoryEdge:
    """The memory of the worker's process tree at one instant (monotonic clock)."""

    at_ns: int
    resident_bytes: int
    """All below but swap: anonymous, lazily freed, file-backed and shared."""
    anonymous_bytes: int
    """Without ``lazy_free_bytes``."""
    file_bytes: int
    """With ``library_bytes``."""
    shared_bytes: int
    swap_bytes: int
    huge_bytes: int
    high_water_bytes: int
    """The most that was resident since the stage began; of several processes, the sum of each one's most."""
    library_bytes: int = 0
    """File pages of installed software, the runtime's libraries above all."""
    lazy_free_bytes: int = 0
    """Given back with MADV_FREE, and there until the system wants it. In profiles of versions before: no part of any field."""
    unread_processes: int = 0
    """Members of the tree that this process was not allowed to read: they are missing here."""


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer: as a runtime records it in one iteration, or as the whole layer pass found it."""

    name: str
    type: str
    compute_unit: ComputeUnit
    time_ns: int
    """Of a pass the median over its calm iterations, the fastest of all where too few were calm."""
    cycles: int | None = None
    output_bytes: int | None = None
    delegate: str | None = None
    """Who ran it inside the runtime (an execution provider, a delegate, a kernel's name)."""
    precision: str | None = None
    """Element type that it computed in, such as ``bfloat16``, where the runtime tells."""
    lower_ns: int | None = None
    """Of a pass: the fastest of all its iterations. This and the spread are None in profiles of versions before."""
    p10_ns: int | None = None
    p90_ns: int | None = None
    """Of a pass: its spread over the iterations that the median is of."""


@dataclass(frozen=True, slots=True)
class RuntimeRow:
    """What the four stages mean for one runtime (measuring.md section 1)."""

    artifact: str | None
    wiped: str
    lazy: str
