"""Checks of what else uses the CPU: other programs, other virtual machines, a speed that changes."""

from __future__ import annotations

import time

from dynolab.doctor.base import Place, read, readable
from dynolab.measure.readings import neighbours, reference_kernel, run_queue, steal
from dynolab.measure.time_range import CALM_SLOWDOWN
from dynolab.spec.findings import Finding
from dynolab.spec.show import show_share

_OTHERS_CORES, _OTHERS_SHARE = 0.10, 0.05
"""CPUs that others use on a small machine, and as a share of all: background services of an idle Linux stay below."""
_STEAL_SHARE = 0.05
_STEADY_LOOKS = 8


def load_and_steal(place: Place) -> list[Finding]:
    """Steal and the load of others, watched over the same time."""
    before = read(neighbours.plugin, place), read(steal.plugin, place)
    time.sleep(place.sample_s)
    after = read(neighbours.plugin, place), read(steal.plugin, place)
    seconds = after[0].get("at_ns", 0.0) / 1e9 - before[0].get("at_ns", 0.0) / 1e9
    if seconds <= 0:
        return [Finding("load", "unknown", "not available: /proc/stat", "whether others use the CPU cannot be told")]
    cores = int(after[0]["cores"])
    others = max(0.0, after[0]["others_cpu_ns"] - before[0]["others_cpu_ns"]) / 1e9 / seconds
    stolen = max(0.0, after[1].get("stolen_ns", 0.0) - before[1].get("stolen_ns", 0.0)) / 1e9 / seconds
    return [_load(others, cores, place), _stolen(stolen)]


def _load(others: float, cores: int, place: Place) -> Finding:
    found = f"others use {others:.2f} of {cores} cores (load average {place.text('proc/loadavg') or 'unknown'})"
    if others <= max(_OTHERS_CORES, _OTHERS_SHARE * cores):
        return Finding("load", "ok", found)
    cost = "threads wait for a CPU, caches and memory are shared: ranges of times get wider, and profiles take longer"
    return Finding("load", "problem", found, cost, "ps -eo pid,pcpu,etime,args --sort=-pcpu | head")


def _stolen(share: float) -> Finding:
    found = f"the hypervisor took {show_share(share)} of one CPU"
    if share <= _STEAL_SHARE / 5:
        return Finding("steal", "ok", found)
    cost = "whole milliseconds are missing from iterations, and no program in this machine shows up as the cause"
    return Finding("steal", "problem" if share > _STEAL_SHARE else "warning", found, cost)


def steady_speed(place: Place) -> list[Finding]:
    """Whether a fixed piece of work takes the same time from one moment to the next."""
    looks: list[float] = []
    for _ in range(_STEADY_LOOKS):
        looks.append(reference_kernel.plugin.read(place.root)["integer_ns"])
        time.sleep(place.sample_s / _STEADY_LOOKS)
    ratio = max(looks) / min(looks)
    found = f"the integer kernel took {min(looks) / 1e3:.0f} to {max(looks) / 1e3:.0f} us in {len(looks)} looks"
    if ratio <= CALM_SLOWDOWN:
        return [Finding("steady speed", "ok", found)]
    cost = f"the same work takes up to {ratio:.2f} x as long from one moment to the next: a changing clock, or a busy sibling core"
    return [Finding("steady speed", "warning", found, cost)]


def run_queue_delay(place: Place) -> list[Finding]:
    """Whether the time that threads wait for a CPU can be read."""
    cost = "whether threads had to wait for a CPU cannot be told"
    return [readable("run-queue delay (schedstat)", run_queue.plugin, place, cost)]
