"""What a type of job is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from dynolab.connections.base import Connection

Spec = TypeVar("Spec")
Result = TypeVar("Result")

Progress = Callable[[Mapping[str, Any]], None]
"""Receives events: ``stage`` (stage, text, process, attempt), ``iteration`` (count, of, minimum_ns), ``note`` (text), ``duet`` (stage, pair,
least, ratio with its ends or None, elapsed_s, budget_s)."""


@dataclass(frozen=True, slots=True)
class Context:
    """Where a job runs, and who is told how it goes."""

    connection: Connection
    progress: Progress


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
