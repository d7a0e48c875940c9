"""The doctor: what on this device spoils measurements, what each costs, and the command that mends it.

Each check is a function that gives one :class:`Finding`; figures stand in a ``cost`` only where the check measured them.
"""

from __future__ import annotations

import ctypes
import itertools
import os
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from dynolab.measure import environment, pagecache
from dynolab.measure.readings import clock, neighbours, pressure, reference_kernel, run_queue, steal, swap, thermal
from dynolab.measure.readings.base import Reading, Unavailable
from dynolab.sandbox import base as sandbox
from dynolab.spec.show import show_share

State = Literal["ok", "warning", "problem", "unknown"]
SAMPLE_S = 0.2
"""How long steal and the load of others are watched: 20 ticks per CPU."""

_WORST_FIRST: tuple[State, ...] = ("problem", "warning", "unknown", "ok")
_CPU = "sys/devices/system/cpu"
_FAST_CLOCKS = ("tsc", "kvm-clock", "hyperv_clocksource_tsc_page", "arch_sys_counter", "timebase", "riscv_clocksource")
"""Clock sources that are read without entering the kernel (vDSO)."""
_SLOW_CLOCKS = ("hpet", "acpi_pm", "jiffies", "refined-jiffies", "pit")
_SLOW_TIMER_NS = 1_000
"""A reading of the clock above this is no vDSO call."""
_HOT_CELSIUS = 80.0
"""The Raspberry Pi's soft limit; laptops and phones begin to slow down between 80 and 100 degrees."""
_OTHERS_CORES, _OTHERS_SHARE = 0.10, 0.05
"""CPUs that others use on a small machine, and as a share of all: background services of an idle Linux stay below."""
_STEAL_SHARE = 0.05
_STEADY_RATIO = 1.05
"""Of the integer kernel, largest over smallest; see ``verdict_rules.INTEGER_SLOWDOWN_ALLOWED``."""
_STEADY_LOOKS = 8
_PROBE_BYTES = 1 << 20


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
class Place:
    """Where the doctor looks: the tree with ``/proc`` and ``/sys``, the folder that workers will use, how long to watch."""

    root: Path
    workspace: Path
    sample_s: float

    def text(self, path: str) -> str | None:
        return environment.text(self.root, path)


def examine(root: Path = Path("/"), *, workspace: Path | None = None, sample_s: float = SAMPLE_S) -> list[Finding]:
    """All findings, worst first, in about a second. ``workspace`` defaults to the folder for temporary files."""
    place = Place(root, workspace or Path(tempfile.gettempdir()), sample_s)
    findings = [finding for check in CHECKS for finding in check(place)]
    return sorted(findings, key=lambda finding: _WORST_FIRST.index(finding.state))


def _governor(place: Place) -> list[Finding]:
    found = environment.governor(place.root)
    if found.startswith("not available"):
        return [
            Finding(
                "governor", "unknown", found, "whether the clock frequency changes cannot be told, nor set from here"
            )
        ]
    if found.partition(" ")[0] == "performance":
        return [Finding("governor", "ok", found)]
    cost = "the clock follows the load: short stages and first iterations run slower than a busy loop does"
    fix = f"echo performance | sudo tee /{_CPU}/cpu*/cpufreq/scaling_governor"
    return [Finding("governor", "warning", found, cost, fix)]


def _turbo(place: Place) -> list[Finding]:
    found = environment.turbo(place.root)
    if found == "on":
        cost = "the clock depends on temperature and on how many cores are busy, so the minimum holds for a cool, idle device"
        intel = place.text(f"{_CPU}/intel_pstate/no_turbo") is not None
        fix = f"echo {1 if intel else 0} | sudo tee /{_CPU}/{'intel_pstate/no_turbo' if intel else 'cpufreq/boost'}"
        return [Finding("turbo", "warning", found, cost, fix)]
    return [Finding("turbo", "ok" if found == "off" else "unknown", found)]


def _busy(place: Place) -> list[Finding]:
    """Steal and the load of others, watched over the same time."""
    before = _values(neighbours.plugin, place), _values(steal.plugin, place)
    time.sleep(place.sample_s)
    after = _values(neighbours.plugin, place), _values(steal.plugin, place)
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


def _steady(place: Place) -> list[Finding]:
    """Whether a fixed piece of work takes the same time from one moment to the next."""
    looks: list[float] = []
    for _ in range(_STEADY_LOOKS):
        looks.append(reference_kernel.plugin.read(place.root)["integer_ns"])
        time.sleep(place.sample_s / _STEADY_LOOKS)
    ratio = max(looks) / min(looks)
    found = f"the integer kernel took {min(looks) / 1e3:.0f} to {max(looks) / 1e3:.0f} us in {len(looks)} looks"
    if ratio <= _STEADY_RATIO:
        return [Finding("steady speed", "ok", found)]
    cost = f"the same work takes up to {ratio:.2f} x as long from one moment to the next: a changing clock, or a busy sibling core"
    return [Finding("steady speed", "warning", found, cost)]


def _swap(place: Place) -> list[Finding]:
    values = _values(swap.plugin, place)
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


def _huge_pages(place: Place) -> list[Finding]:
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


def _temperature(place: Place) -> list[Finding]:
    values = _values(thermal.plugin, place)
    if not values:
        return [Finding("temperature", "unknown", "no thermal zone, cooling device or throttle counter")]
    braked = max(values.get("cooling_state", 0.0), values.get("firmware_throttled", 0.0))
    events, celsius = values.get("throttle_events", 0.0), values.get("max_celsius")
    heat = f"{celsius:.0f} °C" if celsius is not None else "temperature not known"
    found = f"{heat}, {events:.0f} throttle events since boot, {'held back now' if braked else 'not held back now'}"
    cost = "a hot device lowers its clock: the first minute is faster than the tenth"
    if braked:
        return [
            Finding(
                "temperature", "problem", found, cost, "# let it cool down, or give it a fan or a stronger power supply"
            )
        ]
    warm = events > 0 or (celsius is not None and celsius >= _HOT_CELSIUS)
    return [Finding("temperature", "warning" if warm else "ok", found, cost if warm else "")]


_UNMEASURED = "memory is not measured: the profile says so, with this reason"


def _clear_refs(place: Place) -> list[Finding]:
    name, path = "memory peaks (clear_refs)", place.root / "proc/self/clear_refs"
    if os.access(path, os.W_OK):
        return [Finding(name, "ok", "the high-water mark can be reset")]
    return [Finding(name, "problem", f"/{path.relative_to(place.root)} cannot be written to", _UNMEASURED)]


def _smaps(place: Place) -> list[Finding]:
    name, text = "memory edges (smaps_rollup)", place.text("proc/self/smaps_rollup")
    if text and "Pss_Anon:" in text:
        return [Finding(name, "ok", "/proc/self/smaps_rollup can be read")]
    found = "has no line Pss_Anon (Linux before 5.4)" if text else "cannot be read (Linux before 4.14, or forbidden)"
    return [Finding(name, "problem", f"/proc/self/smaps_rollup {found}", _UNMEASURED)]


def _free_heap(place: Place) -> list[Finding]:
    """Of the interpreter that runs this, whatever the place."""
    del place
    name = "free heap (malloc_trim)"
    if hasattr(ctypes.CDLL(None), "malloc_trim"):
        return [Finding(name, "ok", "the C library gives free heap back when asked")]
    cost = "heap that a stage freed may count as kept: lower ends of increases come out too high"
    return [Finding(name, "warning", "this C library has no malloc_trim", cost)]


def _run_queue(place: Place) -> list[Finding]:
    cost = "whether threads had to wait for a CPU cannot be told"
    return [_offered("run-queue delay (schedstat)", run_queue.plugin, place, cost)]


def _pressure(place: Place) -> list[Finding]:
    cost = "stalls for want of memory cannot be told"
    fix = "# add psi=1 to the kernel command line, then restart"
    return [_offered("pressure (PSI)", pressure.plugin, place, cost, fix)]


def _frequency(place: Place) -> list[Finding]:
    return [_offered("clock frequency", clock.plugin, place, "a falling clock is only seen by the reference kernel")]


def _offered(name: str, reading: Reading, place: Place, cost: str, fix: str = "") -> Finding:
    """Whether a reading can be had."""
    try:
        reading.read(place.root)
    except Unavailable as error:
        return Finding(name, "warning", str(error), cost, fix)
    return Finding(name, "ok", "can be read")


def _eviction(place: Place) -> list[Finding]:
    """Puts a file of its own out of the page cache in the workspace, and asks before and after whether it is there."""
    name, kind = "cold loads (page cache)", pagecache.file_system(place.workspace) or "unknown file system"
    try:
        resident, evicted = _try_eviction(place.workspace)
    except OSError as error:
        return [Finding(name, "unknown", f"{place.workspace}: {error.strerror or error}")]
    cost = "first loads find their files in memory: they are called invalid, because they are not cold"
    if resident is None or evicted is None:
        return [
            Finding(
                name, "warning", "the kernel does not tell what is in the page cache", "no first load is proven cold"
            )
        ]
    if not resident:
        return [
            Finding(
                name,
                "warning",
                "mincore says that a file just written is not in memory",
                "no first load is proven cold",
            )
        ]
    if evicted:
        fix = "export DYNOLAB_WORKSPACE=/var/tmp/dynolab  # or another folder on a disk"
        return [Finding(name, "problem", f"{kind} at {place.workspace} keeps its pages in memory", cost, fix)]
    return [Finding(name, "ok", f"files on {kind} at {place.workspace} can be put out of memory, and mincore tells")]


def _try_eviction(folder: Path) -> tuple[int | None, int | None]:
    """Resident bytes of a file just written, and after it was evicted."""
    with tempfile.NamedTemporaryFile(dir=folder, prefix="dynolab-doctor-") as file:
        file.write(bytes(_PROBE_BYTES))
        file.flush()
        path = Path(file.name)
        resident = pagecache.residency([path]).resident_bytes
        pagecache.evict(path, inside=path.parent)
        return resident, pagecache.residency([path]).resident_bytes


def _quota(place: Place) -> list[Finding]:
    quota, cores = environment.cpu_quota(place.root), os.cpu_count() or 1
    if quota is None:
        return [Finding("CPU quota", "ok", "none")]
    found = f"{quota:.2f} CPUs per period (this machine has {cores})"
    if quota >= cores:
        return [Finding("CPU quota", "ok", found)]
    cost = "when the quota is spent, the process stands still until the period ends (100 ms by default)"
    return [
        Finding("CPU quota", "problem", found, cost, 'docker update --cpus="$(nproc --all)" CONTAINER  # on the host')
    ]


def _power(place: Place) -> list[Finding]:
    supplies = {path.name: path for path in (place.root / "sys/class/power_supply").glob("*")}
    states = {name: place.text(f"sys/class/power_supply/{name}/status") for name in supplies}
    profile = place.text("sys/firmware/acpi/platform_profile")
    found = ", ".join([f"{name}: {state}" for name, state in sorted(states.items()) if state]) or "no battery"
    found += f", power profile {profile}" if profile else ""
    cost = "the firmware caps the clock to save power"
    if "Discharging" in states.values():
        return [Finding("power", "warning", found, cost, "# plug in the charger")]
    if profile in ("low-power", "quiet", "cool"):
        return [
            Finding("power", "warning", found, cost, "echo performance | sudo tee /sys/firmware/acpi/platform_profile")
        ]
    return [Finding("power", "ok", found)]


def _clocksource(place: Place) -> list[Finding]:
    found = environment.clocksource(place.root)
    if found in _FAST_CLOCKS:
        return [Finding("clock source", "ok", found)]
    cost = "each reading of the clock enters the kernel and asks a slow device: short iterations come out too long"
    if found in _SLOW_CLOCKS:
        fix = "cat /sys/devices/system/clocksource/clocksource0/available_clocksource; sudo dmesg | grep -i clocksource"
        return [Finding("clock source", "problem", found, cost, fix)]
    return [Finding("clock source", "unknown", found)]


def _timer(place: Place) -> list[Finding]:
    """What reading the clock costs, as this process sees it."""
    readings = [time.perf_counter_ns() for _ in range(2_000)]
    steps = sorted(after - before for before, after in itertools.pairwise(readings))
    median, zeros = steps[len(steps) // 2], steps.count(0)
    found = f"{median} ns between two readings of the clock (median of {len(steps)})"
    if median <= _SLOW_TIMER_NS and zeros < len(steps) // 2:
        return [Finding("timer", "ok", found)]
    return [Finding("timer", "warning", found, f"iterations come out up to {median} ns too long, or in coarse steps")]


def _smt(place: Place) -> list[Finding]:
    active = place.text(f"{_CPU}/smt/active")
    if active is None:
        return [Finding("hyper-threads", "unknown", f"not available: /{_CPU}/smt/active")]
    if active != "1":
        hidden = environment.virtualisation(place.root) != "none seen"
        told = "none are shown (a virtual machine does not see those of its host)" if hidden else "off, or none"
        return [Finding("hyper-threads", "ok", told)]
    cost = "two CPUs share one core: a busy sibling slows work down without any waiting that could be seen"
    return [Finding("hyper-threads", "warning", "on", cost, f"echo off | sudo tee /{_CPU}/smt/control")]


def _sandbox(place: Place) -> list[Finding]:
    """What confines a model here. It is tried, so a recorded device has no answer."""
    if place.root != Path("/"):
        return []
    used = sandbox.strongest()
    better = [one for one in sandbox.all_by_strength() if one.rank > used.rank]
    reasons = "; ".join(f"{one.name}: {sandbox.problem(one.name) or 'works, and is not chosen'}" for one in better)
    found = sandbox.told(used) + (f"; stronger ones: {reasons}" if better else "")
    if not used.protects:
        cost = "NO SANDBOX: whoever wrote a model may read, write and send whatever you may"
        return [Finding("sandbox", "problem", found, cost, f"sudo {sandbox.INSTALL}")]
    if better:
        cost = "a stronger one could be had"
        return [Finding("sandbox", "warning", found, cost, f"sudo {sandbox.INSTALL}")]
    return [Finding("sandbox", "ok", found)]


def _values(reading: Reading, place: Place) -> dict[str, float]:
    try:
        return reading.read(place.root)
    except Unavailable:
        return {}


CHECKS: tuple[Callable[[Place], list[Finding]], ...] = (
    _governor, _turbo, _frequency, _busy, _steady, _smt, _temperature, _power, _quota, _swap, _huge_pages, _clear_refs,
    _smaps, _free_heap, _run_queue, _pressure, _eviction, _clocksource, _timer, _sandbox,
)  # fmt: skip
"""Every check, in the order in which equal states are shown."""
