"""What a check of a device finds: its state, what it costs a measurement, and how it is mended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

State = Literal["ok", "warning", "problem", "unknown"]
WORST_FIRST: tuple[State, ...] = ("problem", "warning", "unknown", "ok")


@dataclass(frozen=True, slots=True)
class Finding:
    """One check: its state, what was found, what it costs a measurement, and a command to copy.

    ``fix`` is "" where nothing is to be mended, and begins with ``#`` where no command can do it.
    """

    name: str
    state: State
    found: str
    cost: str = ""
    fix: str = ""


@dataclass(frozen=True, slots=True)
class Examined:
    """All findings of a device, worst first."""

    findings: tuple[Finding, ...]
