"""What a type of job is."""

from __future__ import annotations

import getpass
import os
import socket
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Generic, TypeVar

from dynolab.connections.base import WAIT_S, Connection
from dynolab.spec.holding import BESIDE, Claim, HolderKind

Spec = TypeVar("Spec")
Result = TypeVar("Result")

Progress = Callable[[Mapping[str, Any]], None]
"""Receives events: ``stage`` (stage, text, process, attempt), ``iteration`` (count, of, minimum_ns), ``note`` (text), ``duet`` (stage, pair,
least, ratio with its ends or None, elapsed_s, budget_s)."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Who asks for the board, as others are told that find it in use."""

    what: str = ""
    """Empty: what the job says of itself."""
    is_agent: bool = False
    wait_s: float | None = None
    """How long to wait for the board; where it is this machine, for all others who measure here. None: a moment."""
    cool_celsius: float | None = None
    """How hot the board may be when the job begins; None: nobody knows what is usual."""
    cool_within_s: float = 0.0
    """How long it may take to cool down."""

    @property
    def patience_s(self) -> float:
        """How long it waits."""
        return WAIT_S if self.wait_s is None else self.wait_s

    def claim(self, what: str, *, here: bool) -> Claim:
        """The claim of a job; ``here``: the board is this machine."""
        kind = HolderKind.AGENT if self.is_agent else HolderKind.PERSON
        kind = kind if here else HolderKind.REACHED
        alone = self.wait_s is not None and not self.is_agent
        return Claim(
            by=f"{_user()}@{socket.gethostname()}",
            what=self.what or what,
            kind=kind,
            beside=() if alone else BESIDE[kind],
            wait_s=self.patience_s,
        )


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):  # an account that nobody wrote down, as in containers
        return str(os.getuid())


@dataclass(frozen=True, slots=True)
class Context:
    """Where a job runs, who is told how it goes, and who asks for it."""

    connection: Connection
    progress: Progress
    asking: Asking = field(default_factory=Asking)


class JobType(ABC, Generic[Spec, Result]):
    """One type of job: checked before it is accepted, run on a device, summed up."""

    name: ClassVar[str]

    @abstractmethod
    def validate(self, spec: Spec) -> Spec:
        """The spec with everything filled in. Raises a :class:`~dynolab.errors.UserError` for what cannot work."""

    @abstractmethod
    def run(self, spec: Spec, context: Context) -> Result:
        """Carry it out. Raises a :class:`~dynolab.errors.WorkerError` when the model fails."""

    @abstractmethod
    def summary(self, result: Result) -> dict[str, Any]:
        """The outcome in a few keys."""
