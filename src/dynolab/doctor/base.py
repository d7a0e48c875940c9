"""Where a check looks, and the readings that several checks use."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from dynolab.measure import environment
from dynolab.measure.readings.base import Reading, Unavailable
from dynolab.spec.findings import Finding

CPU = "sys/devices/system/cpu"


@dataclass(frozen=True, slots=True)
class Place:
    """Where the doctor looks: the tree with ``/proc`` and ``/sys``, the folder that workers will use, how long to watch."""

    root: Path
    workspace: Path
    sample_s: float

    def text(self, path: str) -> str | None:
        return environment.text(self.root, path)


def read(reading: Reading, place: Place) -> dict[str, float]:
    """The values of a reading; none where it cannot be had."""
    try:
        return reading.read(place.root)
    except Unavailable:
        return {}


def readable(name: str, reading: Reading, place: Place, cost: str, fix: str = "") -> Finding:
    """Whether a reading can be had."""
    try:
        reading.read(place.root)
    except Unavailable as error:
        return Finding(name, "warning", str(error), cost, fix)
    return Finding(name, "ok", "can be read")
