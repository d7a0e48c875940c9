"""What executor and worker tell each other, as files: ``request.json`` in, ``result.json`` renamed into place out.

A worker for a device without Python can be written against these documents alone.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from dynolab.errors import SpecInvalid, WorkerCrashed
from dynolab.spec import codec, untrusted
from dynolab.spec.measurements import Layer, LoopWindow, MemoryEdge, Notice, SustainedWindow, Witnesses
from dynolab.spec.models import Description, FileFact, ModelFormat
from dynolab.spec.tensors import TensorSpec

PROTOCOL_VERSION = 4
REQUEST_FILE = "request.json"
RESULT_FILE = "result.json"
VALUES_FILE = "values.bin"
"""int64, native byte order: the durations of the timed loop in ns, written as they come, 0 where none came yet."""
CANDIDATE_FILE = "candidate"
SCRATCH_FOLDER = "scratch"
"""What a runtime writes besides artifact and caches, in the folder of its run."""
LOG_FILE = "log.txt"
UNFIT_CODE = 74
"""How a process ends when the device has no room for what it has to say (sysexits.h, EX_IOERR)."""


class RunKind(StrEnum):
    """What one fresh process does."""

    DESCRIBE = "describe"
    """What the file tells, for a device that has not what reading it takes."""
    INSPECT = "inspect"
    COMPILE = "compile"
    FIRST_LOAD = "first_load"
    INFERENCE = "inference"
    """A warm load, then the loop: two stages, each with a start of its own."""
    SUSTAINED = "sustained"
    """A warm load, then a loop without a pause for a given time, in windows of some length."""
    TURNS = "turns"
    """A warm load, then windows of a loop whenever its turn comes (:mod:`dynolab.measure.turns`): one side of a duet."""
    INFER = "infer"
    """One inference for each batch of given inputs; the outputs are kept, nothing is measured."""
    LAYERS = "layers"
    TOTAL = "total"
    """From before the runtime's import through load, first inference and loop, without trimming in between."""


class Measure(StrEnum):
    """What one run reads: time and memory never come from the same process."""

    TIME = "time"
    MEMORY = "memory"
    NOTHING = "nothing"


@dataclass(frozen=True, slots=True)
class InputPlan:
    """How one input is made: uniform random in [low, high] (integers: both ends included), or read from a .npy file."""

    spec: TensorSpec
    low: float
    high: float
    file: str | None = None

    @property
    def source(self) -> str:
        """The same in words."""
        if self.file is not None:
            return Path(self.file).name
        if self.spec.dtype == "string":
            return "random words"
        end = ")" if self.spec.dtype.startswith(("float", "bfloat", "complex")) else "]"
        return f"random uniform [{self.low:g}, {self.high:g}{end}"


@dataclass(frozen=True, slots=True)
class InputWishes:
    """What the user said of the inputs; all else is chosen in the inspection."""

    shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    ranges: dict[str, tuple[float, float]] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """One run: everything that a fresh process must know. Paths are the device's own."""

    protocol: int
    kind: RunKind
    measure: Measure
    runtime: str
    model: str
    format: ModelFormat
    artifact_dir: str
    cache_dir: str
    options_text: str
    seed: int
    inputs: tuple[InputPlan, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    effective: dict[str, str] = field(default_factory=dict)
    """What earlier runs told as being in effect."""
    wishes: InputWishes = field(default_factory=InputWishes)
    first_candidate: int = 0
    description: Description | None = None
    """Of an inspection: what another machine read in the file; None: it is read here."""
    iterations: int = 1
    """Of the loop: as many as are wanted in any case, time permitting."""
    most_iterations: int = 0
    """In windows, more are made, up to these, until the loop has settled or ``settle_within_ns`` are over."""
    settle_within_ns: int = 0
    sustained_ns: int = 0
    """How long a sustained run goes on; its windows are ``iterations``, each of the same share of it."""
    growth_iterations: int = 0
    """Of a memory pass of the inference: so many more after its window, over which memory may grow; 0: none."""
    time_limit_ns: int = 0
    best: dict[str, float] = field(default_factory=dict)
    """The reference kernel's best times on this device, by :func:`dynolab.measure.time_range.reference_name`."""
    memory_limit_bytes: int | None = None
    files: tuple[str, ...] = ()
    """All files and folders that the model consists of: nothing else of it is in the worker's sight."""
    cold_files: tuple[str, ...] = ()
    """Files whose residency is read just before a first load."""
    batches: tuple[dict[str, str], ...] = ()
    """Inputs to infer from: for each batch the .npy file of each input."""
    readings: tuple[str, ...] = ()
    """Witnesses to ask; finding out which there are costs a worker more than asking them."""

    @property
    def room(self) -> int:
        """For so many durations of the loop."""
        return max(self.iterations, self.most_iterations)


@dataclass(frozen=True, slots=True)
class Inspection:
    """What the model is and how it will be fed: the outcome of the first run of a job."""

    description: Description
    inputs: tuple[InputPlan, ...]
    outputs: tuple[TensorSpec, ...]
    notes: tuple[str, ...]
    compiles: bool
    notices: tuple[Notice, ...] = ()
    """What the loaded model tells that a reader would not expect."""


@dataclass(frozen=True, slots=True)
class Residency:
    """Bytes of some files that are in the page cache, or the reason why that is not known."""

    resident_bytes: int | None
    total_bytes: int
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class StagePass:
    """What one run read of one stage that it went through."""

    values_ns: tuple[int, ...] = ()
    """The stage's duration (one value), or the loop's iterations in order."""
    windows: tuple[LoopWindow, ...] = ()
    """Of the loop, in order."""
    warmup_ns: tuple[int, ...] = ()
    first_ns: int | None = None
    edges: tuple[MemoryEdge, ...] = ()
    """Memory pass: start, end, released."""
    io_bytes: int = 0
    witnesses: Witnesses | None = None
    files: tuple[FileFact, ...] = ()
    """Files that the stage left in its folder: the artifact's, or the caches'."""
    accelerator: dict[str, int] = field(default_factory=dict)
    held_bytes: tuple[int, ...] = ()
    """Memory after each quarter of the iterations over which growth is read."""


@dataclass(frozen=True, slots=True)
class LayerPass:
    """The layers over the iterations of a pass, or the reason why there are none."""

    layers: tuple[Layer, ...] = ()
    """With medians, fastest times and spreads, as ``layer_times.summed_up`` makes them of what follows."""
    reason: str | None = None
    iterations: int = 0
    resolution_ns: int | None = None
    note: str | None = None
    witnesses: Witnesses | None = None
    times_ns: tuple[tuple[int, ...], ...] = ()
    """For each iteration the times of the layers, in their order."""
    calm: tuple[bool, ...] = ()
    """For each iteration whether its window was calm."""
    overlaps_ns: tuple[int, ...] = ()
    """For each iteration how much of its layers' time counts more than once, because they ran side by side; empty: none did."""


@dataclass(frozen=True, slots=True)
class SustainedPass:
    """What a sustained run read: its windows in order, and why readings are not to be had."""

    windows: tuple[SustainedWindow, ...]
    unavailable: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RunResult:
    """What one run found; ``error`` is an :class:`dynolab.errors.Error` as a dict."""

    protocol: int
    error: dict[str, object] | None = None
    versions: dict[str, str] = field(default_factory=dict)
    uncompiled: int = 0
    """Inspection: Python modules that had to be compiled, since nobody kept their bytecode."""
    import_ns: int | None = None
    import_edges: tuple[MemoryEdge, ...] = ()
    """Memory pass: before the import, after it, after trimming."""
    description: Description | None = None
    inspection: Inspection | None = None
    floor_ns: int | None = None
    """Inspection: the smallest iteration of a loop around nothing, which is what the harness itself costs."""
    stages: dict[str, StagePass] = field(default_factory=dict)
    """By stage name. An inference run loads the model first: it went through a warm load as well."""
    residency: Residency | None = None
    effective: dict[str, str] = field(default_factory=dict)
    layer_pass: LayerPass | None = None
    outputs: tuple[dict[str, str], ...] = ()
    """What was inferred: for each batch the .npy file of each output."""
    sustained: SustainedPass | None = None
    total: StagePass | None = None
    """The whole way, from before the runtime's import to the end of the loop."""


T = TypeVar("T")


def write(document: object, path: Path) -> None:
    """Write a protocol document so that a reader sees the whole of it or nothing."""
    partial = path.with_name(path.name + ".partial")
    partial.write_text(json.dumps(codec.encode(document)), encoding="utf-8")
    partial.replace(path)


def read(kind: type[T], path: Path) -> T:
    """The document at ``path``. Raises :class:`SpecInvalid` for another protocol version or a broken document."""
    return _decoded(kind, json.loads(path.read_text(encoding="utf-8")), path)


def read_untrusted(kind: type[T], path: Path, *, inside: Path, most: int = untrusted.DOCUMENT_MAX_BYTES) -> T:
    """The same of a document that a model may have forged, in its folder; no link is followed, its text is printable.

    Raises :class:`WorkerCrashed` for a broken one, and ``FileNotFoundError`` when there is none.
    """
    document = untrusted.read_document(path, inside=inside, most=most)
    try:
        return _decoded(kind, document, path)
    except SpecInvalid as error:
        raise WorkerCrashed(f"what a process of the model left cannot be read: {error.message}") from error


def _decoded(kind: type[T], document: object, path: Path) -> T:
    version = document.get("protocol") if isinstance(document, dict) else None
    if version != PROTOCOL_VERSION:
        raise SpecInvalid(
            f"{path.name} speaks protocol {version!r}, this side speaks {PROTOCOL_VERSION}",
            hint="install the same version of dynolab on both sides",
        )
    return codec.decode(kind, document, path.name)
