"""What policy and executor tell each other: orders to the device, one line of JSON each, and an answer to each.

The executor is ``python -m dynolab.measure.executor WORKSPACE`` on the device. It reads an order at a time from its standard
input and writes to its standard output; large things are files in the workspace. An order is ``{"order": number, "verb": name,
"with": document}``; its answer ``{"answer": number, "at_ns": time, "value": document}``, or ``error`` in the place of ``value``;
``at_ns`` is the device's monotonic clock. Between them come events of progress, ``{"event": name, ...}``. Each line begins with the
record separator (RFC 7464), so that whatever else writes there, such as a shell's start-up file, is told from it.

An executor for a device without Python can be written against these documents alone.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from dynolab.measure.protocol import RunRequest, RunResult
from dynolab.spec import untrusted
from dynolab.spec.devices import DeviceFacts
from dynolab.spec.duets import DuetWindow
from dynolab.spec.energy import EnergySample
from dynolab.spec.measurements import MemoryEdge

RECORD = "\x1e"
"""RFC 7464 (JSON text sequences), section 2.2."""
LINE_MAX_BYTES = 4 * untrusted.DOCUMENT_MAX_BYTES
"""Of one answer: it holds what a worker told, and samples of its memory."""
ARTIFACT_FOLDER, CACHE_FOLDER, RUNS_FOLDER = "artifact", "cache", "runs"
"""Of each place: what compile made, the runtime's own caches, and the runs."""


class Verb(StrEnum):
    """What an executor can be told to do."""

    LOOK = "look"
    """:class:`Look`, answered by :class:`Survey`."""
    PREPARE = "prepare"
    """:class:`Place`, answered by :class:`Prepared`; comes before all that names the place."""
    IDLE = "idle"
    """:class:`Idle`, answered by :class:`~dynolab.spec.energy.EnergyRead`: what the sensors tell while nothing runs."""
    REFERENCE = "reference"
    """:class:`Reference`, answered by :class:`ReferenceTimes`."""
    RUN = "run"
    """:class:`Run`, answered by :class:`Ran`."""
    TURNS = "turns"
    """:class:`Turns`, answered by :class:`TookTurns`."""
    HOLD = "hold"
    """:class:`~dynolab.spec.holding.Claim`, answered by :class:`~dynolab.spec.holding.Held`: the board is claimed until the executor
    ends. Said again, the answer names all who were there meanwhile."""
    COOL = "cool"
    """:class:`Cool`, answered by :class:`Cooled`: a device that is hotter than usual is waited for."""
    COMPILE_PYTHON = "compile_python"
    """:class:`Look`: the runtime's library is imported once outside the sandbox, so that Python keeps what it compiles; no answer."""
    SET_ASIDE = "set_aside"
    """:class:`At`: the place's artifact is kept for later, and its folder is empty."""
    PUT_BACK = "put_back"
    """:class:`At`: what was set aside is the artifact again."""
    PROBE = "probe"
    """No document, answered by :class:`~dynolab.spec.board_health.Probe`: how the device is."""
    EXAMINE = "examine"
    """No document, answered by :class:`~dynolab.spec.findings.Examined`: what would disturb measurements on the device."""
    CLOSE = "close"
    """The end: nothing of the campaign is left running. No answer."""


class Files(StrEnum):
    """What is done to a place's files before a run."""

    AS_THEY_ARE = "as they are"
    EMPTY = "empty"
    """Artifact and caches are removed: a compilation comes next."""
    COLD = "cold"
    """Caches are removed; the files of model and artifact are put out of the page cache."""
    WARM = "warm"
    """All files are in the page cache, as a load that just happened leaves them."""


@dataclass(frozen=True, slots=True)
class Look:
    """A runtime, by name. ``loads``: its library is loaded once, in a process of its own, to see whether it does."""

    runtime: str
    loads: bool = False


@dataclass(frozen=True, slots=True)
class At:
    """A place of the workspace, by name."""

    place: str


@dataclass(frozen=True, slots=True)
class Survey:
    """What a device is now, and whether a runtime can be used on it."""

    protocol: int
    device: DeviceFacts
    environment: dict[str, str]
    identity: str
    """What tells this device from others of its kind, for its record: digits and letters, the same from boot to boot."""
    kernel_identity: str
    """Of the reference kernel: times of another one are not to be compared with."""
    cores: int
    readings: tuple[str, ...]
    memory_reason: str | None
    memory_resolution_bytes: int
    memory_method: str
    clock: str
    """The device's UTC time, ISO 8601."""
    sandbox: str
    """What confines a model there."""
    unavailable: str | None = None
    """Why the runtime cannot be used there."""
    versions: dict[str, str] = field(default_factory=dict)
    """Of the runtime's distributions there."""


@dataclass(frozen=True, slots=True)
class Place:
    """A folder of the workspace for one model. ``name`` is empty for the workspace itself."""

    name: str
    files: tuple[str, ...]
    """All files of the model, on the device."""
    given: tuple[str, ...] = ()
    """Files that runs may read besides."""
    memory_limit_bytes: int | None = None


@dataclass(frozen=True, slots=True)
class Prepared:
    """How the place's memory limit is kept; None: it has none."""

    memory_limit_method: str | None


@dataclass(frozen=True, slots=True)
class Idle:
    """For how long the device is watched; where it has no sensor that can be read, it answers at once."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Cool:
    """The temperature that the device may have, and how long it may take to come down to it."""

    celsius: float
    within_s: float


@dataclass(frozen=True, slots=True)
class Cooled:
    """The device's temperature in the end, None where it tells none, and how long that took."""

    celsius: float | None
    waited_s: float


@dataclass(frozen=True, slots=True)
class Reference:
    """Numbers of threads that run the reference kernel at once; ``looks`` times, of which the shortest counts."""

    threads: tuple[int, ...]
    looks: int


@dataclass(frozen=True, slots=True)
class ReferenceTimes:
    """The reference kernel's shortest time in ns, for each number of threads asked for, in their order."""

    times_ns: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Run:
    """One worker process at a place. ``shows_progress``: events ``iteration`` tell how far its loop is.

    ``reads_energy``: the sensors of energy are read while it runs.
    """

    place: str
    request: RunRequest
    files: Files = Files.AS_THEY_ARE
    timeout_s: float | None = None
    shows_progress: bool = False
    reads_energy: bool = False


@dataclass(frozen=True, slots=True)
class Ran:
    """What came of a worker: ``result`` has the model's error, if there is one."""

    result: RunResult
    wall_ns: int
    samples: tuple[MemoryEdge, ...] = ()
    log: str = ""
    candidate: int | None = None
    """Of an inspection that crashed: the way of feeding the model that it was at."""
    file_system: str | None = None
    """On which the model lies."""
    energy: tuple[EnergySample, ...] = ()
    """What the sensors told while it ran, if that was asked for."""


@dataclass(frozen=True, slots=True)
class Turns:
    """Two workers that take turns: A B B A A B ..., each turn a window of its loop."""

    runs: tuple[Run, ...]
    """In the order of the first couple of windows."""
    window_ns: int
    couples_min: int
    couples_most: int
    within_ns: int
    """Couples beyond the fewest are begun within this time."""


@dataclass(frozen=True, slots=True)
class TookTurns:
    """The windows, and what came of each worker, by place. ``failed`` names the place whose ``error`` ended it."""

    windows: tuple[DuetWindow, ...] = ()
    ran: dict[str, Ran] = field(default_factory=dict)
    failed: str | None = None
    error: dict[str, object] | None = None


def line_of(document: Mapping[str, Any]) -> str:
    """A document as a line, without its end."""
    return RECORD + json.dumps(document)


def document_of(line: str) -> dict[str, Any] | None:
    """The document of a line; None: it is somebody else's noise."""
    before, found, text = line.rpartition(RECORD)
    del before  # noise that did not end its line
    if not found:
        return None
    try:
        document = untrusted.load_document(text.encode("utf-8", "replace"))
    except ValueError:
        return None
    return document if isinstance(document, dict) else None
