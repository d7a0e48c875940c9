"""Checks of memory: swap, huge pages, and whether what memory figures are made of can be read."""

from __future__ import annotations

import ctypes
import os

from dynolab.doctor.base import Place, read, readable
from dynolab.measure import environment
from dynolab.measure.readings import pressure, swap
from dynolab.spec.findings import Finding

_UNMEASURED = "memory is not measured: the profile says so, with this reason"


def swap_in_use(place: Place) -> list[Finding]:
    """Whether memory is swapped out."""
    values = read(swap.plugin, place)
    meminfo = environment.meminfo(place.root)
    used = meminfo.get("SwapTotal", 0) - meminfo.get("SwapFree", 0)
    if not meminfo:
        return [Finding("swap", "unknown", "not available: /proc/meminfo")]
    found = f"{used / 1e6:.0f} MB of {meminfo.get('SwapTotal', 0) / 1e6:.0f} MB in use, {values.get('own_bytes', 0.0) / 1e6:.1f} MB by us"
    if not used:
        return [Finding("swap", "ok", found)]
    cost = (
        "memory that was swapped out is not resident: figures come out too low, and reading it back takes milliseconds"
    )
    return [Finding("swap", "problem" if values.get("own_bytes") else "warning", found, cost, "sudo swapoff -a")]


def huge_pages(place: Place) -> list[Finding]:
    """Whether memory grows by huge pages."""
    chosen = environment.huge_pages(place.root)
    if chosen.startswith("not available"):
        return [Finding("huge pages", "unknown", chosen)]
    if chosen != "always":
        return [Finding("huge pages", "ok", chosen)]
    cost = (
        "memory grows in steps of a huge page (2 MiB on most systems), and its time depends on how fragmented memory is"
    )
    fix = "echo madvise | sudo tee /sys/kernel/mm/transparent_hugepage/enabled"
    return [Finding("huge pages", "warning", chosen, cost, fix)]


def memory_peaks(place: Place) -> list[Finding]:
    """Whether the high-water mark of memory can be reset."""
    name, path = "memory peaks (clear_refs)", place.root / "proc/self/clear_refs"
    if os.access(path, os.W_OK):
        return [Finding(name, "ok", "the high-water mark can be reset")]
    return [Finding(name, "problem", f"/{path.relative_to(place.root)} cannot be written to", _UNMEASURED)]


def memory_edges(place: Place) -> list[Finding]:
    """Whether the memory at the ends of a stage can be read."""
    name, text = "memory edges (smaps_rollup)", place.text("proc/self/smaps_rollup")
    if text and "Pss_Anon:" in text:
        return [Finding(name, "ok", "/proc/self/smaps_rollup can be read")]
    found = "has no line Pss_Anon (Linux before 5.4)" if text else "cannot be read (Linux before 4.14, or forbidden)"
    return [Finding(name, "problem", f"/proc/self/smaps_rollup {found}", _UNMEASURED)]


def free_heap(place: Place) -> list[Finding]:
    """Of the interpreter that runs this, whatever the place."""
    del place
    name = "free heap (malloc_trim)"
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        return [Finding(name, "ok", "the C library gives free heap back when asked")]
    cost = "heap that a stage freed may count as kept: lower ends of increases come out too high"
    return [Finding(name, "warning", "this C library has no malloc_trim", cost)]


def memory_pressure(place: Place) -> list[Finding]:
    """Whether stalls for want of memory can be read."""
    cost = "stalls for want of memory cannot be told"
    fix = "# add psi=1 to the kernel command line, then restart"
    return [readable("pressure (PSI)", pressure.plugin, place, cost, fix)]
