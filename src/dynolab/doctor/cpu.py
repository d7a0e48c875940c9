"""Checks of the CPU: clock frequency, hyper-threads, quota."""

from __future__ import annotations

import os

from dynolab.doctor.base import CPU, Place, readable
from dynolab.measure import emulation, environment
from dynolab.measure.readings import clock
from dynolab.spec.findings import Finding


def governor(place: Place) -> list[Finding]:
    """The CPU frequency governor: whether the clock follows the load."""
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
    fix = f"echo performance | sudo tee /{CPU}/cpu*/cpufreq/scaling_governor"
    return [Finding("governor", "warning", found, cost, fix)]


def turbo(place: Place) -> list[Finding]:
    """Whether the CPU may run above its base clock."""
    found = environment.turbo(place.root)
    if found == "on":
        cost = "the clock depends on temperature and on how many cores are busy, so the minimum holds for a cool, idle device"
        intel = place.text(f"{CPU}/intel_pstate/no_turbo") is not None
        fix = f"echo {1 if intel else 0} | sudo tee /{CPU}/{'intel_pstate/no_turbo' if intel else 'cpufreq/boost'}"
        return [Finding("turbo", "warning", found, cost, fix)]
    return [Finding("turbo", "ok" if found == "off" else "unknown", found)]


def frequency(place: Place) -> list[Finding]:
    """Whether the clock frequency can be read."""
    return [readable("clock frequency", clock.plugin, place, "a falling clock is only seen by the reference kernel")]


def hyper_threads(place: Place) -> list[Finding]:
    """Whether two CPUs share a core."""
    active = place.text(f"{CPU}/smt/active")
    if active is None:
        return [Finding("hyper-threads", "unknown", f"not available: /{CPU}/smt/active")]
    if active != "1":
        hidden = environment.is_shared({"virtualisation": environment.virtualisation(place.root)})
        told = "none are shown (a virtual machine does not see those of its host)" if hidden else "off, or none"
        return [Finding("hyper-threads", "ok", told)]
    cost = "two CPUs share one core: a busy sibling slows work down without any waiting that could be seen"
    return [Finding("hyper-threads", "warning", "on", cost, f"echo off | sudo tee /{CPU}/smt/control")]


def cpu_quota(place: Place) -> list[Finding]:
    """Whether a cgroup limits CPU time."""
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


def emulated(place: Place) -> list[Finding]:
    """Whether the CPU is an emulator's, whose times are no device's."""
    found = environment.emulated(place.root)
    if found == emulation.NONE:
        return [Finding("emulation", "ok", found)]
    return [
        Finding(
            "emulation",
            "warning",
            found,
            "times are the emulator's: none is called clean",
            "# measure on a real device",
        )
    ]
