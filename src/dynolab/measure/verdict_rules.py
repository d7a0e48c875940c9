"""The conditions behind verdicts: each turns readings into a sign, a value that grows as a condition is broken.

A sign carries the most that is allowed and a sentence for the reader. Nothing here reads the system. What merely slows a
pass down is no condition: it makes the range of its time wider (see ``time_range``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from dynolab.spec.measurements import Witnesses

NONE_ALLOWED = 0.5
"""For what comes in whole numbers and should not be there at all."""
QUOTA_SHARE_ALLOWED = 0.5
"""Periods of a CPU quota in which it was used up: beyond it the process was stopped in every second period and more, and the
figure is the quota's. Below it calm windows tell."""
MEMORY_STALL_SHARE_ALLOWED = 0.01
"""PSI memory ``some``: any reclaim at all changes what is resident."""
SWAP_PAGES_ALLOWED = 256.0
"""Pages moved to or from swap by the whole system: 1 MiB of 4 KiB pages, a trickle on systems with zram."""
BUSY_GPU_SHARE = 0.5
"""Of the driver's last period at the end of a pass: a GPU that computes less is not what the pass waited for."""
READ_BYTES_ALLOWED = float(1 << 20)
"""From the disk, in a load that should find all in memory: a stray page of a library, but no weights."""


@dataclass(frozen=True, slots=True)
class Sign:
    """One rule's finding: what the reader sees, and the most that is allowed."""

    value: float
    allowed: float
    reason: str

    @property
    def over(self) -> bool:
        return self.value > self.allowed


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass as the rules see it; ``warm``: it should find everything in memory."""

    witnesses: Witnesses
    warm: bool = False

    def grown(self, key: str) -> float | None:
        return self.witnesses.grown.get(key)

    def edges(self, key: str) -> tuple[float, float] | None:
        """A gauge before and after; None unless both are known."""
        before, after = self.witnesses.before.get(key), self.witnesses.after.get(key)
        return None if before is None or after is None else (before, after)


Rule = Callable[[Pass], Iterator[Sign]]


def percent(value: float, allowed: float) -> tuple[str, str]:
    """Both shares in percent, with more digits where they would read the same and are not: ``10.7 %`` and ``5 %``."""
    places = 1
    while places < 9 and value != allowed and f"{100 * value:.{places}f}" == f"{100 * allowed:.{places}f}":
        places += 1
    limit = f"{100 * allowed:.{places}f}"
    return f"{100 * value:.{places}f} %", f"{limit.rstrip('0').rstrip('.')} %"


def _cooling(seen: Pass) -> Iterator[Sign]:
    """Cooling devices that slow the device down throughout."""
    yield from _held_back(seen, "thermal.cooling_state", "the kernel")


def _firmware(seen: Pass) -> Iterator[Sign]:
    """The firmware of a Raspberry Pi that slows it down throughout, for heat or for want of power."""
    yield from _held_back(seen, "thermal.firmware_throttled", "the firmware")


def _gpu_heat(seen: Pass) -> Iterator[Sign]:
    """GPUs that their driver slows down throughout, for heat or for want of power; idle ones slow nobody down."""
    busy = seen.witnesses.after.get("nvidia.busy_share")
    if busy is None or busy < BUSY_GPU_SHARE:
        return
    for key, why in (("nvidia.heat", "for heat"), ("nvidia.power_brake", "for want of power")):
        edges = seen.edges(key)
        if edges is not None:
            said = f"the driver held the GPU's clock back {why} ({min(edges):.0f} GPUs, allowed 0)"
            yield Sign(min(edges), NONE_ALLOWED, said)


def _held_back(seen: Pass, key: str, who: str) -> Iterator[Sign]:
    edges, celsius = seen.edges(key), seen.edges("thermal.max_celsius")
    if edges is not None:
        heat = f" at {max(celsius):.0f} °C" if celsius else ""
        said = f"{who} held the device's clock back{heat} (state {min(edges):.0f}, allowed 0)"
        yield Sign(min(edges), NONE_ALLOWED, said)


def _quota(seen: Pass) -> Iterator[Sign]:
    """Periods in which a CPU quota stopped the process."""
    periods, stopped = seen.grown("cpu_quota.periods"), seen.grown("cpu_quota.throttled_periods")
    if periods is None or stopped is None:
        return
    share = stopped / max(1.0, periods)
    _, limit = percent(share, QUOTA_SHARE_ALLOWED)
    said = f"a CPU quota stopped the process in {stopped:.0f} of {periods:.0f} periods (allowed {limit})"
    yield Sign(share, QUOTA_SHARE_ALLOWED, said)


def _swap(seen: Pass) -> Iterator[Sign]:
    """Memory of ours in swap at either edge."""
    edges = seen.edges("swap.own_bytes")
    if edges is not None:
        said = f"{max(edges) / 1e6:.1f} MB of the worker's memory were in swap (allowed 0)"
        yield Sign(max(edges), NONE_ALLOWED, said)


def _disk(seen: Pass) -> Iterator[Sign]:
    """What came from the disk in a load that should find everything in memory."""
    read = [seen.grown(key) for key in ("faults.read_bytes", "faults.block_input_bytes")]
    known = [value for value in read if value is not None]
    if known and seen.warm:
        said = f"{max(known) / 1e6:.1f} MB came from the disk (allowed {READ_BYTES_ALLOWED / 1e6:.1f} MB)"
        yield Sign(max(known), READ_BYTES_ALLOWED, said)


def _swap_traffic(seen: Pass) -> Iterator[Sign]:
    """Pages that the system moved to and from swap."""
    pages_in, pages_out = seen.grown("swap.pages_in"), seen.grown("swap.pages_out")
    if pages_in is not None and pages_out is not None:
        moved = pages_in + pages_out
        said = f"the system moved {moved:.0f} pages to or from swap (allowed {SWAP_PAGES_ALLOWED:.0f})"
        yield Sign(moved, SWAP_PAGES_ALLOWED, said)


def _memory_stall(seen: Pass) -> Iterator[Sign]:
    """Pressure on memory."""
    stalled_us = seen.grown("pressure.memory_some_us")
    if stalled_us is None:
        return
    share = stalled_us * 1e3 / seen.witnesses.wall_ns
    told, limit = percent(share, MEMORY_STALL_SHARE_ALLOWED)
    said = f"tasks waited for memory for {told} of the pass (allowed {limit})"
    yield Sign(share, MEMORY_STALL_SHARE_ALLOWED, said)


CONDITIONS: Mapping[str, Rule] = {
    "swap_bytes": _swap,
    "quota_share": _quota,
    "cooling_state": _cooling,
    "firmware_throttled": _firmware,
    "gpu_held_back": _gpu_heat,
    "disk_read_bytes": _disk,
}
"""Of a timing pass: one that is broken makes it invalid."""
MEMORY_RULES: Mapping[str, Rule] = {
    "swap_bytes": _swap,
    "swap_pages": _swap_traffic,
    "memory_stall_share": _memory_stall,
}
"""Of a memory pass: one that is over makes it noisy."""
