"""What the worker reads between two windows of the timed loop: in well under a millisecond, from files that stay open."""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dynolab.measure import cgroups
from dynolab.measure.clock import now_ns
from dynolab.measure.readings import cpu_quota, reference_kernel
from dynolab.measure.readings.base import read_number
from dynolab.spec.measurements import LoopWindow

MANY = 8
"""Iterations in a window of which the fastest may have missed what disturbed the others."""
_TASKS = "/proc/self/task"
_READ_BYTES = 4096


@dataclass(frozen=True, slots=True)
class WindowEdge:
    """One reading; None for what this system does not tell. ``at_ns`` is when it was over."""

    begun_ns: int
    at_ns: int
    cpu_ns: int | None
    delay_ns: int | None
    turns: int | None
    throttled_ns: int | None
    kernel_ns: int
    kernel_threads: int
    core: str


class WindowWitnesses:
    """The readers of one process, with the files that they keep open."""

    def __init__(self) -> None:
        self._schedstat: dict[str, int] = {}
        self._quota = _open_quota()
        self._core_types = core_types()
        self._kernel = reference_kernel.KernelTeam()
        self._most = 1 if self._core_types else len(os.sched_getaffinity(0))

    def read(self, threads: int = 1) -> WindowEdge:
        """All witnesses now: 0.3 to 0.5 ms, most of it for the reference kernel, which ``threads`` run at once."""
        begun_ns = now_ns()
        threads = min(threads, self._most)
        scheduled = self._scheduled()
        return WindowEdge(
            begun_ns,
            cpu_ns=None if scheduled is None else scheduled[0],
            delay_ns=None if scheduled is None else scheduled[1],
            turns=None if scheduled is None else scheduled[2],
            throttled_ns=self._throttled_ns(),
            core=self._core_types.get(reference_kernel.current_cpu(), "") if self._core_types else "",
            kernel_ns=self._kernel.slowest_ns(threads),
            kernel_threads=threads,
            at_ns=now_ns(),
        )

    def _scheduled(self) -> tuple[int, int, int] | None:
        """Time on a CPU, time waiting for one, and times that one was given, over all threads (``schedstat``, see the reading ``run_queue``)."""
        cpu_ns = delay_ns = turns = 0
        try:
            for task in os.listdir(_TASKS):  # noqa: PTH208 # a Path for each thread takes longer than reading it
                words = self._read_task(task).split()
                if len(words) == 3:  # else the thread is gone
                    cpu_ns += int(words[0])
                    delay_ns += int(words[1])
                    turns += int(words[2])
        except OSError:
            return None
        return (cpu_ns, delay_ns, turns) if cpu_ns else None

    def _read_task(self, task: str) -> bytes:
        if task not in self._schedstat:
            self._schedstat[task] = os.open(f"{_TASKS}/{task}/schedstat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.pread(self._schedstat[task], _READ_BYTES, 0)
        except ProcessLookupError:
            return b""

    def _throttled_ns(self) -> int | None:
        """What quotas of the groups around this process took; None without any (see the reading ``cpu_quota``)."""
        groups = cpu_quota.limited_groups(os.pread(file, _READ_BYTES, 0).decode() for file in self._quota)
        return int(cpu_quota.throttled_ns(groups)) if groups else None

    def close(self) -> None:
        """Close the files, and end what helped to read."""
        self._kernel.close()
        for file in (*self._schedstat.values(), *self._quota):
            os.close(file)


def between(before: WindowEdge, after: WindowEdge, count: int, warmup_ns: int | None) -> LoopWindow:
    """The window of ``count`` iterations between two readings.

    Of the kernel, the better reading where the fastest of many iterations may have been beside it; of few long ones none can
    have missed the worse. Only readings with as many threads are held against each other.
    """
    edges = [one for one in (before, after) if one.kernel_threads == after.kernel_threads]
    edge = (min if count >= MANY else max)(edges, key=lambda one: one.kernel_ns)
    return LoopWindow(
        count=count,
        wall_ns=after.begun_ns - before.at_ns,
        warmup_ns=warmup_ns,
        cpu_ns=_grown(before.cpu_ns, after.cpu_ns),
        delay_ns=_grown(before.delay_ns, after.delay_ns),
        turns=_grown(before.turns, after.turns),
        throttled_ns=_grown(before.throttled_ns, after.throttled_ns),
        kernel_ns=edge.kernel_ns,
        kernel_threads=edge.kernel_threads,
        core=edge.core,
    )


def _grown(before: int | None, after: int | None) -> int | None:
    """A counter's growth; a thread that is gone takes its share along, and never makes it negative."""
    return None if before is None or after is None else max(0, after - before)


def _open_quota() -> list[int]:
    files = []
    for folder in cgroups.folders(Path("/"), "cpu"):
        with suppress(OSError):
            files.append(os.open(Path("/") / folder / "cpu.stat", os.O_RDONLY | os.O_CLOEXEC))
    return files


def core_types(root: Path = Path("/")) -> dict[int | None, str]:
    """The type of each core, by its number, where a machine has several types; else nothing.

    Source: ``cpu_capacity`` (kernel: Documentation/ABI/testing/sysfs-devices-system-cpu), else ``cpuinfo_max_freq``.
    """
    folders = {int(folder.name[3:]): folder for folder in (root / "sys/devices/system/cpu").glob("cpu[0-9]*")}
    for name in ("cpu_capacity", "cpufreq/cpuinfo_max_freq"):
        known = {number: read_number(folder / name) for number, folder in folders.items()}
        if None not in known.values() and len(set(known.values())) > 1:
            return {number: f"{value:.0f}" for number, value in known.items()}
    return {}
