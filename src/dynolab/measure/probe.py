"""A board's health probe, in a process of its own: ``python -m dynolab.measure.probe`` times reference work and prints one line.

The reference work needs the standard library alone, so that any board can do it, and in it nothing of a runtime or a model:
what changes in its times is the board. It costs half a second of one core (see :data:`CORES_WITHIN_S`).
"""

from __future__ import annotations

import json
import os
import platform
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from dynolab.measure.readings import neighbours, reference_kernel, steal, thermal
from dynolab.measure.readings.base import Reading, Unavailable
from dynolab.spec import codec
from dynolab.spec.board_health import Probe

CORES_WITHIN_S, CORE_WITHIN_S = 0.4, 0.05
"""For all cores together, and for one at most: time for its clock to come up (cpufreq's schedutil needs up to 10 ms a step)."""
COPIED_BYTES = 32 << 20
"""More than most last-level caches hold, and little beside any board's memory: a copy reads and writes as much."""
COPIES_WITHIN_S, COPIES_LEAST = 0.1, 3
EVENT = "probe"


def take() -> Probe:
    """What this board shows now; takes about half a second."""
    before, hot = _busy(), _celsius()
    start_ns = time.monotonic_ns()
    cores = sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []
    within_s = min(CORE_WITHIN_S, CORES_WITHIN_S / max(1, len(cores)))
    times = [_core_ns(core, within_s) for core in cores] or [_shortest_ns(within_s)]
    figures = {"fastest_core_ns": min(times), "slowest_core_ns": max(times), "memory_ns": _copy_ns()}
    passed_ns = time.monotonic_ns() - start_ns
    after = _busy()
    share = None
    if before is not None and after is not None:
        share = max(0.0, after - before) / (passed_ns * max(1, os.cpu_count() or 1))
    return Probe(
        figures,
        cores=max(1, len(cores)),
        identity=f"{reference_kernel.identity()}, {COPIED_BYTES} bytes copied, {platform.python_implementation()}",
        others_share=None if share is None else round(min(share, 1.0), 4),
        celsius=hot,
        took_ns=passed_ns,
    )


def celsius() -> float | None:
    """How hot the board's hottest zone is now; None where nothing tells."""
    return _celsius()


def _core_ns(core: int, within_s: float) -> int:
    """The reference kernel's shortest time in ns on one core."""
    with _on(core):
        return _shortest_ns(within_s)


@contextmanager
def _on(core: int) -> Iterator[None]:
    """This thread on one core; where it cannot be told so, on whichever it is."""
    usual = os.sched_getaffinity(0)
    with suppress(OSError):
        os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        with suppress(OSError):
            os.sched_setaffinity(0, usual)


def _shortest_ns(within_s: float) -> int:
    until, shortest = time.monotonic() + within_s, reference_kernel.brief_ns()
    while time.monotonic() < until:
        shortest = min(shortest, reference_kernel.brief_ns())
    return shortest


def _copy_ns() -> int:
    """The shortest time in ns of a copy out of the cache."""
    source, target = bytearray(COPIED_BYTES), bytearray(COPIED_BYTES)
    view, times = memoryview(source), list[int]()
    until = time.monotonic() + COPIES_WITHIN_S
    while len(times) < COPIES_LEAST or time.monotonic() < until:
        before_ns = time.perf_counter_ns()
        memoryview(target)[:] = view
        times.append(time.perf_counter_ns() - before_ns)
    return min(times)


def _read(reading: Reading, name: str) -> float | None:
    try:
        return reading.read().get(name)
    except Unavailable:
        return None


def _busy() -> float | None:
    """CPU time in ns that others used or took since the start; None where it cannot be told."""
    others, stolen = _read(neighbours.plugin, "others_cpu_ns"), _read(steal.plugin, "stolen_ns")
    return None if others is None else others + (stolen or 0.0)


def _celsius() -> float | None:
    return _read(thermal.plugin, "max_celsius")


def main() -> None:
    """Print the probe, behind a word that no noise on the way begins with."""
    sys.stdout.write(json.dumps({"event": EVENT, "probe": codec.encode(take())}) + "\n")


if __name__ == "__main__":
    main()
