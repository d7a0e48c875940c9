"""How fast a fixed piece of work runs now: what a busy hyper-thread sibling or a slow clock cannot hide."""

from __future__ import annotations

import mmap
import os
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from dynolab.measure.readings.base import Field, Reading

_BLOCK = bytes(range(256)) * 64
"""16 KiB: with the tables of CRC-32 it stays in the first-level cache (32 KiB and more on all CPUs of interest)."""
_ROUNDS = 20
"""Rounds per try: about 0.1 ms on a 2.5 GHz Xeon."""
_INTEGER_BUDGET_NS = 700_000
"""Per CPU; at least ``_LEAST_TRIES`` are made whatever they take."""
_LEAST_TRIES = 3
_COPY_BYTES = 2 << 20
"""Source and destination together are 4 MiB: beyond the second-level cache of most, within reach of a shared last level."""
_COPY_BUDGET_NS = 1_000_000
_POPULATE = getattr(mmap, "MAP_POPULATE", 0)
"""All pages at once: in a virtual machine, fault by fault costs several times as much (mmap(2))."""
_PROCESSOR_COLUMN = 39 - 3
"""After the name, the state is column 3."""
_MOST_CPUS = 4
"""CPUs that are looked at, evenly spread over the allowed ones, so that a reading stays below 10 ms."""


class ReferenceKernel(Reading):
    """The shortest of a few tries of an integer kernel (CRC-32 over 16 KiB) and of a memory copy (2 MiB).

    CRC-32 keeps several independent chains in flight (Kadatch and Jenkins 2010, as in zlib since 1.2.12), so it loses up
    to half its speed to a busy sibling hyper-thread, which on a virtual machine belongs to somebody else and shows in
    no counter; a slower clock shows in the same measure. The times hold for one build of zlib: compare them only among
    equal :func:`identity`. The copy's memory is mapped for the reading and unmapped before it returns, so that nothing
    stays in the worker; it does raise ``VmHWM`` for a moment: leave this reading out of memory passes, or reset the high
    water mark after it. While it reads, the calling thread visits each CPU that it looks at; its affinity is restored.
    """

    name = "reference_kernel"
    fields = {
        "integer_ns": Field(
            "gauge", "ns", "integer kernel on the CPU that the caller runs on (where threads cannot be placed: on any)"
        ),
        "integer_worst_ns": Field("gauge", "ns", "integer kernel on the slowest of the CPUs looked at"),
        "copy_ns": Field("gauge", "ns", "copy of 2 MiB"),
    }

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The times now; takes 4 to 10 ms of CPU time. ``root`` has no say: what is timed is this machine."""
        shortest_ns = list(_integer_per_cpu()) or [_shortest_ns(_integer, _INTEGER_BUDGET_NS)]
        return {
            "integer_ns": float(shortest_ns[-1]),
            "integer_worst_ns": float(max(shortest_ns)),
            "copy_ns": float(_copy_ns()),
        }


def identity() -> str:
    """What the times depend on beside the device: keep one best per identity."""
    return f"zlib {zlib.ZLIB_RUNTIME_VERSION}, {_COPY_BYTES} bytes"


def _integer() -> None:
    for _ in range(_ROUNDS):
        zlib.crc32(_BLOCK)


def _shortest_ns(work: Callable[[], None], budget_ns: int) -> int:
    shortest_ns, tries, start_ns = 1 << 62, 0, time.perf_counter_ns()
    before_ns = start_ns
    while tries < _LEAST_TRIES or before_ns - start_ns < budget_ns:
        work()
        after_ns = time.perf_counter_ns()
        shortest_ns = min(shortest_ns, after_ns - before_ns)
        before_ns = after_ns
        tries += 1
    return shortest_ns


def _integer_per_cpu() -> Iterator[int]:
    """The integer kernel on some of the allowed CPUs, the caller's own last; nothing where threads cannot be placed.

    Ending on the caller's own leaves the thread where it was: what is timed last is the CPU that the pass begins on.
    """
    if not hasattr(os, "sched_setaffinity"):
        return
    with _affinity_kept() as allowed:
        here = _current_cpu()
        others = [cpu for cpu in allowed[:: -(-len(allowed) // _MOST_CPUS)] if cpu != here]
        for cpu in [*others, here] if here in allowed else others:
            try:
                os.sched_setaffinity(0, {cpu})
            except OSError:
                continue  # the CPU was taken away, or a sandbox forbids it
            yield _shortest_ns(_integer, _INTEGER_BUDGET_NS)


def _current_cpu() -> int | None:
    """The CPU that this thread runs on: column 39 of its stat file (proc_pid_stat(5)), counted from 1."""
    try:
        text = Path("/proc/thread-self/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(text[text.rindex(")") + 2 :].split()[_PROCESSOR_COLUMN])


@contextmanager
def _affinity_kept() -> Iterator[list[int]]:
    allowed = os.sched_getaffinity(0)
    try:
        yield sorted(allowed)
    finally:
        os.sched_setaffinity(0, allowed)


def _copy_ns() -> int:
    flags = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | _POPULATE
    with mmap.mmap(-1, 2 * _COPY_BYTES, flags=flags) as memory, memoryview(memory) as view:
        source, destination = view[:_COPY_BYTES], view[_COPY_BYTES:]
        with source, destination:

            def copy() -> None:
                destination[:] = source

            source[:] = destination  # both sides are written to once: an untouched page is the shared page of zeros
            copy()
            return _shortest_ns(copy, _COPY_BUDGET_NS)


plugin = ReferenceKernel()
