"""Checks of the clock that iterations are timed with."""

from __future__ import annotations

import itertools
import time

from dynolab.doctor.base import Place
from dynolab.measure import environment
from dynolab.spec.findings import Finding

_FAST_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "timebase", "riscv_clocksource")
"""Clock sources that are read without entering the kernel (vDSO)."""
_SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit")
_SLOW_TIMER_NS = 1_000
"""A reading of the clock above this is no vDSO call."""


def clock_source(place: Place) -> list[Finding]:
    """Whether the clock is read without entering the kernel."""
    found = environment.clocksource(place.root)
    if found in _FAST_CLOCKS:
        return [Finding("clock source", "ok", found)]
    cost = "each reading of the clock enters the kernel and asks a slow device: short iterations come out too long"
    if found in _SLOW_CLOCKS:
        fix = "cat /sys/devices/system/clocksource/clocksource0/available_clocksource; sudo dmesg | grep -i clocksource"
        return [Finding("clock source", "problem", found, cost, fix)]
    return [Finding("clock source", "unknown", found)]


def timer(place: Place) -> list[Finding]:
    """What reading the clock costs, as this process sees it."""
    readings = [time.perf_counter_ns() for _ in range(2_000)]
    steps = sorted(after - before for before, after in itertools.pairwise(readings))
    median, zeros = steps[len(steps) // 2], steps.count(0)
    found = f"{median} ns between two readings of the clock (median of {len(steps)})"
    if median <= _SLOW_TIMER_NS and zeros < len(steps) // 2:
        return [Finding("timer", "ok", found)]
    return [Finding("timer", "warning", found, f"iterations come out up to {median} ns too long, or in coarse steps")]
