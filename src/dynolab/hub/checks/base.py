"""What a check is, and what it finds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal

Grade = Literal["wrong", "warning"]
SHOWN_MOST = 100
"""Problems of one check that are told one by one; all are counted."""


@dataclass(frozen=True, slots=True)
class Problem:
    """One place where something does not hold: ``what`` (``job j1``), ``why``, and since when (None: nobody noted it)."""

    what: str
    why: str
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Finding:
    """What one check found: nothing, or ``count`` problems, of which up to :data:`SHOWN_MOST` are told."""

    name: str
    holds: str
    """What must hold, as a sentence."""
    hint: str = ""
    """What to do where it does not."""
    problems: tuple[Problem, ...] = ()
    count: int = 0
    grade: Grade = "wrong"
    """``wrong``: work is lost, doubled or stuck, or soon will be. ``warning``: something to look at."""
    skipped: str = ""
    """Why it could not be looked at; empty: it was."""

    @property
    def ok(self) -> bool:
        """Whether it holds, as far as it was looked at."""
        return not self.count


@dataclass(frozen=True, slots=True)
class Rule:
    """A check of the database alone: ``query`` gives a row (``what``, ``why``, ``since``) for each place where it does not hold.

    The query may use the parameters of :func:`dynolab.hub.checks.check.parameters`.
    """

    name: str
    holds: str
    query: str
    hint: str
    grade: Grade = "wrong"
    needs_hub: bool = False
    """Whether it says something only where a hub runs, which would put it right."""


@dataclass(frozen=True, slots=True)
class Replica:
    """A hub's process that is connected to the database."""

    name: str
    """Of its machine and process; empty where it is too old to say so."""
    version: str
    since: datetime
    """Since when its oldest connection stands: it runs for at least as long."""


@dataclass(frozen=True, slots=True)
class Checked:
    """All of it."""

    at: datetime
    """By the database's clock: the instant of which the database was looked at."""
    findings: tuple[Finding, ...]
    counts: dict[str, int] = field(default_factory=dict)
    """How many there are of what was looked at."""
    replicas: tuple[Replica, ...] = ()
    took_s: float = 0.0

    def of(self, grade: Grade) -> Sequence[Finding]:
        """Those that do not hold."""
        return [one for one in self.findings if not one.ok and one.grade == grade]

    @property
    def skipped(self) -> Sequence[Finding]:
        """Those that could not be looked at."""
        return [one for one in self.findings if one.skipped]
