"""All checks of a device: what would disturb measurements, what each costs, and the command that mends it.

Each check is a function that gives :class:`~dynolab.doctor.base.Finding`; figures stand in a ``cost`` only where the check
measured them.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from dynolab.doctor import cpu, heat_and_power, load, memory, page_cache, sandboxes, timers
from dynolab.doctor.base import Place
from dynolab.spec.findings import WORST_FIRST, Finding

SAMPLE_S = 0.2
"""How long steal and the load of others are watched: 20 ticks per CPU."""
CHECKS: tuple[Callable[[Place], list[Finding]], ...] = (
    cpu.emulated, cpu.governor, cpu.turbo, cpu.frequency, load.load_and_steal, load.steady_speed, cpu.hyper_threads,
    heat_and_power.temperature, heat_and_power.power, heat_and_power.energy, cpu.cpu_quota, memory.swap_in_use, memory.huge_pages, memory.memory_peaks,
    memory.memory_edges, memory.free_heap, load.run_queue_delay, memory.memory_pressure, page_cache.eviction,
    timers.clock_source, timers.timer, sandboxes.confinement,
)  # fmt: skip
"""Every check, in the order in which equal states are shown."""


def examine(root: Path = Path("/"), *, workspace: Path | None = None, sample_s: float = SAMPLE_S) -> list[Finding]:
    """All findings, worst first, in about a second. ``workspace`` defaults to the folder for temporary files."""
    place = Place(root, workspace or Path(tempfile.gettempdir()), sample_s)
    findings = [finding for check in CHECKS for finding in check(place)]
    return sorted(findings, key=lambda finding: WORST_FIRST.index(finding.state))
