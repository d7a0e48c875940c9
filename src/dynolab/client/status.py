"""Where a job stands, and its kind, in AI Hub's words."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class JobType(Enum):
    """The kinds of jobs. As in AI Hub's client, a profile is an inference job that measures."""

    UNSPECIFIED = 0
    INFERENCE = 2
    COMPILE = 3
    QUANTIZE = 4
    LINK = 5
    PROFILE = INFERENCE


class JobArtifactType(Enum):
    """What a job may leave beside its results: its log, of its device or of the hub that made a model, and a timeline of its profile."""

    DEVICE_LOG = 1
    HUB_LOG = 5
    PROFILE_TRACE = 6
    QHAS_SUMMARY = 8


@dataclass(frozen=True, slots=True, eq=False)
class JobStatus:
    """Where a job stands, and the reason of a failure, or what it waits for. It equals its state, and that state's name."""

    class State(IntEnum):
        """The states that AI Hub's client knows; those that belong to other kinds of jobs do not come here."""

        UNSPECIFIED = 0
        CREATED = 1
        SUCCESS = 10
        FAILED = 30
        OPTIMIZING_MODEL = 50
        PROVISIONING_DEVICE = 60
        MEASURING_PERFORMANCE = 70
        RUNNING_INFERENCE = 80
        QUANTIZING_MODEL = 90
        LINKING_MODELS = 100

    state: State
    message: str | None = None

    @staticmethod
    def all_running_states() -> list[State]:
        """The states in which a device has the job."""
        return [state for state in State if state not in _WAITS_OR_IS_OVER]

    @property
    def code(self) -> str:
        """The state's name, such as ``SUCCESS``."""
        return self.state.name

    @property
    def symbol(self) -> str:
        """One sign for it."""
        if self.failure:
            return "❌"
        return "✅" if self.success else "⏳"

    @property
    def success(self) -> bool:
        """Whether the job is done."""
        return self.state is State.SUCCESS

    @property
    def failure(self) -> bool:
        """Whether it failed or was cancelled."""
        return self.state is State.FAILED

    @property
    def finished(self) -> bool:
        """Whether it is over."""
        return self.success or self.failure

    @property
    def running(self) -> bool:
        """Whether a device has it."""
        return self.state not in _WAITS_OR_IS_OVER

    @property
    def pending(self) -> bool:
        """Whether it waits for one."""
        return self.state is State.CREATED

    def __eq__(self, other: object) -> bool:
        if isinstance(other, State):
            return self.state is other
        if isinstance(other, str):
            return self.code == other
        return isinstance(other, JobStatus) and (self.state, self.message) == (other.state, other.message)

    def __hash__(self) -> int:
        return hash(self.state)


State = JobStatus.State
STATES = {
    "queued": State.CREATED,
    "preparing": State.PROVISIONING_DEVICE,
    "running": State.MEASURING_PERFORMANCE,
    "done": State.SUCCESS,
    "failed": State.FAILED,
    "cancelled": State.FAILED,
}
"""AI Hub's words for a hub's states."""
MAKING = {"compile": State.OPTIMIZING_MODEL, "quantize": State.QUANTIZING_MODEL, "link": State.LINKING_MODELS}
"""The word for a job that runs, of the kinds that make a model."""
_WAITS_OR_IS_OVER = (State.UNSPECIFIED, State.CREATED, State.SUCCESS, State.FAILED)


def state_of(kind: str, state: str) -> State:
    """AI Hub's word for a state of a job of a hub's kind."""
    return MAKING[kind] if kind in MAKING and state in ("preparing", "running") else STATES[state]


def hub_states(wanted: State | str | list[State] | None) -> list[str] | None:
    """A hub's states for AI Hub's, or for a hub's own; None: any."""
    if wanted is None:
        return None
    if isinstance(wanted, str):
        return [wanted]
    several = wanted if isinstance(wanted, list) else [wanted]
    making = ("preparing", "running") if any(one in MAKING.values() for one in several) else ()
    return [name for name, state in STATES.items() if state in several or name in making]
