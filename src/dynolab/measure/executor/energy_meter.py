"""Samples of the device's sensors of energy, in the executor: workers may read few of them, and none without a cost."""

from __future__ import annotations

import time
from pathlib import Path

from dynolab.measure.clock import now_ns
from dynolab.measure.readings import energy
from dynolab.spec.energy import EnergyRead, EnergySample

EVERY_S = 0.1


class Meter:
    """Takes samples; ``root`` stands before ``/sys`` (a recorded tree in tests)."""

    def __init__(self, root: Path = Path("/")) -> None:
        self._root = root
        self.samples: list[EnergySample] = []

    def look(self, count: int = 0) -> None:
        """One sample, with the iterations that are done: the clock is read next to the sensors."""
        values, _ = energy.plugin.told(self._root)
        self.samples.append(EnergySample(now_ns(), values, count))


def idle(seconds: float, root: Path = Path("/")) -> EnergyRead:
    """What the sensors tell for so long; at once, with the reasons, where none can be read."""
    values, unavailable = energy.plugin.told(root)
    if not values:
        return EnergyRead(unavailable=unavailable)
    meter = Meter(root)
    meter.look()
    end_ns = meter.samples[0].at_ns + int(seconds * 1e9)  # from the first sample to the last, however long a look takes
    while meter.samples[-1].at_ns < end_ns:
        time.sleep(min(EVERY_S, max(0.0, (end_ns - now_ns()) / 1e9)))
        meter.look()
    return EnergyRead(tuple(meter.samples), energy.plugin.sources(root), unavailable)
