"""What a hub and its agents tell each other: JSON documents over HTTP, each way at the agent's own asking."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from dynolab.spec.board_health import Probe
from dynolab.spec.compiles import InputSpec
from dynolab.spec.duets import DuetTerms
from dynolab.spec.tensors import Quantization, TensorSpec

AGENT_PROTOCOL = 7
"""What this version speaks. A hub also takes agents that speak less, down to :data:`OLDEST_AGENT_PROTOCOL`; none takes more: hubs are updated first.

A document's new field has a default, and who does not know it passes over it: that alone changes no protocol.
"""
OLDEST_AGENT_PROTOCOL = 6
"""The one before at least, so that agents can be updated after their hub. What 7 brought is a question that agents of 6 do not ask."""
OFFER_NULL = "DYNOLAB_OFFER_NULL"
"""The variable that, set to 1, has an agent take models of the null runtime, too: for tests, since they may sleep for days."""
BASELINE_FOLDER = "baseline"
"""Where an attempt's process finds the model to compare with, in the folder of its assignment."""
LINKED = "linked-"
"""With a number, from 0: what the source of a model to link is fetched as, and the folder that it lies in."""
NOTES_FILE = "notes.json"
"""In the folder of an attempt: what its agent has to say of the device with what is measured there, text by code of the notice."""
COOL_FILE = "cool.json"
"""In the same folder, of a board that is reached by an address: how hot it may be when a job begins, and how long it may take to cool down."""
LIVE_LOG_BYTES = 64 << 10
"""How much of an attempt's log is told while it runs; the whole log follows at its end."""

SANDBOX, SANDBOX_NONE = "sandbox:", "sandbox:none"
"""What the attribute begins with that tells how an agent confines models; a device without it counts as one of ``none``."""


@dataclass(frozen=True, slots=True)
class DeviceOffer:
    """One physical device that an agent serves. ``attributes`` are ``key:value``, as AI Hub's are."""

    id: str
    """The same each time the agent starts on this device."""
    name: str
    os: str
    """The system's version, numbers and dots."""
    attributes: tuple[str, ...] = ()
    description: str = ""
    frameworks: dict[str, str] = field(default_factory=dict)
    """Version by name of what it can run."""
    join: str = ""
    """The e-mail address of the account whose pool of this name the device joins; empty: the agent's own account's."""
    agent_version: str = ""
    """Of dynolab there."""
    instance: str = ""
    """Of the agent's process, another one with each start: one that comes back after another took its place tells of two boards
    with one id. Empty: an agent of before."""


@dataclass(frozen=True, slots=True)
class ClaimRequest:
    """An agent asks for a job for its device, and is willing to wait for one."""

    protocol: int
    device: DeviceOffer
    wait_s: float = 0.0
    unfit: str = ""
    """Why the device must not be given a job now; empty: it may."""


@dataclass(frozen=True, slots=True)
class ProbeReport:
    """What a probe showed of the device, told before a job is asked for."""

    protocol: int
    device: DeviceOffer
    probe: Probe


@dataclass(frozen=True, slots=True)
class ProbeAnswer:
    """What the hub makes of it: the device's state of health and why, and when to probe it again."""

    state: str
    """``good``, ``probation`` or ``quarantined``; the latter is given no job."""
    why: str = ""
    again_in_s: float | None = None
    """None: as usual."""
    cool_celsius: float | None = None
    """Up to which temperature the device is as cool as it usually is; None: not known yet, or it tells none."""


@dataclass(frozen=True, slots=True)
class FileLink:
    """A file to fetch from the attempt's own address: the name to give it, and its size."""

    name: str
    bytes: int


@dataclass(frozen=True, slots=True)
class Baseline:
    """What the assignment's model is compared with: a model of its own, and how to run it."""

    model: FileLink
    model_kind: str
    options: str
    terms: DuetTerms


@dataclass(frozen=True, slots=True)
class LinkedSource:
    """What a model to link was made of, and how: graphs are linked while they are built."""

    model: FileLink
    model_kind: str
    options: str
    input_specs: dict[str, InputSpec]


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job for the agent's device. ``attempt`` must be named in everything that is said of it."""

    protocol: int
    attempt: str
    number: int
    job: str
    kind: str
    options: str
    lease_s: float
    model: FileLink
    model_kind: str
    """The format that the model was said to be when it was handed in: the agent holds what it finds against that."""
    dataset: FileLink | None = None
    with_profile: bool = True
    requirements: tuple[str, ...] = ()
    """Limits that the profile is to be held against."""
    input_shapes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    """Of inputs whose dimensions the model leaves open, by name."""
    keeps_artifact: bool = False
    """Whether what compile made is to be left, too."""
    baseline: Baseline | None = None
    """Of a job that compares."""
    input_specs: dict[str, InputSpec] | None = None
    """Of a job that compiles: shapes and element types of inputs, in their order."""
    weights_dtype: str = ""
    activations_dtype: str = ""
    """Of a job that quantises, whose calibration data are the dataset."""
    linked: tuple[LinkedSource, ...] = ()
    """Of a job that links, for which ``model`` is not fetched."""
    quantizations: tuple[Quantization, ...] = ()
    """Of a job that infers: of the integers that the model takes and gives; real numbers can be given in their place."""
    traceparent: str = ""
    """Of the trace that the job belongs to, as W3C's header of that name; empty: to none."""
    made_for: tuple[str, ...] = ()
    """Of a job that compiles or links: the attributes of the device that it is for, which need not be the agent's own."""


@dataclass(frozen=True, slots=True)
class Renewal:
    """The agent is still at it, and how far it is."""

    progress: dict[str, Any] | None = None
    log: str | None = None
    """The end of the log so far, at most :data:`LIVE_LOG_BYTES` of it; None: it has not grown."""


@dataclass(frozen=True, slots=True)
class RenewalAnswer:
    """Whether the agent has to stop."""

    cancel: bool = False


@dataclass(frozen=True, slots=True)
class Tensors:
    """What a model was fed with and gave, every shape as it was in that run."""

    inputs: tuple[TensorSpec, ...] = ()
    outputs: tuple[TensorSpec, ...] = ()
    fixed: bool = False
    """Whether the model itself fixes the shapes of its inputs; else some dimension was chosen for the run."""
    quantizations: tuple[Quantization, ...] = ()
    """Of those inputs and outputs that are integers for real numbers."""


@dataclass(frozen=True, slots=True)
class FileOffer:
    """An attempt is to leave a file of so many bytes: ``result``, ``output``, ``artifact`` or ``log``."""

    what: str
    bytes: int


@dataclass(frozen=True, slots=True)
class FilePlaces:
    """Where the file's parts are PUT, past the hub; without ``urls`` the hub itself takes it."""

    upload: str = ""
    """What completes it (:class:`FileSent`)."""
    urls: tuple[str, ...] = ()
    part_bytes: int = 0
    """Of each part but the last."""


@dataclass(frozen=True, slots=True)
class FileLate:
    """The addresses of an upload (:class:`FilePlaces`) have run out: others are asked for."""

    upload: str


@dataclass(frozen=True, slots=True)
class FileSent:
    """All parts were sent; ``etags`` are those that they were answered with, in order."""

    upload: str
    etags: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MadeModel:
    """What a job that makes a model left as its output."""

    kind: str
    """Its format."""
    is_directory: bool
    """Whether the output is a zip file of the folder that the model consists of."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How an attempt ended: with ``error`` (an :class:`dynolab.errors.Error` as a dict), or well and with figures."""

    error: dict[str, object] | None = None
    summary: dict[str, Any] = field(default_factory=dict)
    tensors: Tensors | None = None
    """None where nothing was measured or made."""
    made: MadeModel | None = None
    """Of a job that makes a model."""
