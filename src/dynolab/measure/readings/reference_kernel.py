"""How fast a fixed piece of work runs now: what a busy hyper-thread sibling or a slow clock cannot hide."""

from __future__ import annotations

import os
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from dynolab.measure.readings.base import Field, Reading

_BLOCK = bytes(range(256)) * 64
"""16 KiB: with the tables of CRC-32 it stays in the first-level cache (32 KiB and more on all CPUs of interest)."""
_ROUNDS = 20
"""Rounds per try: about 0.1 ms on a 2.5 GHz Xeon."""
_WHOLE = _BLOCK * _ROUNDS
"""As much in one call, out of the second-level cache: so threads come back to Python's lock seldom."""
_SWITCH_S = 50e-6
"""How long a thread waits for Python's lock before it demands it, while several run the kernel: by default 5 ms."""
_TRIES = 3
"""The first brings code and tables back into the cache; the shortest counts."""
_PROCESSOR_COLUMN = 39 - 3
"""After the name, the state is column 3."""


class ReferenceKernel(Reading):
    """The shortest of a few tries of CRC-32 over 16 KiB, on the CPU that the caller runs on.

    CRC-32 keeps several independent chains in flight (Kadatch and Jenkins 2010, as in zlib since 1.2.12), so it loses up
    to half its speed to a busy sibling hyper-thread, which on a virtual machine belongs to somebody else and shows in
    no counter; a slower clock shows in the same measure. The times hold for one build of zlib: compare them only among
    equal :func:`identity`.
    """

    name = "reference_kernel"
    fields = {"integer_ns": Field("gauge", "ns", "CRC-32 over 16 KiB, 20 times, in first-level cache")}

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The time now; takes about 0.3 ms. ``root`` has no say: what is timed is this machine."""
        return {"integer_ns": float(brief_ns())}


def identity() -> str:
    """What the times depend on beside the device: keep one best per identity."""
    return f"zlib {zlib.ZLIB_RUNTIME_VERSION}, {len(_WHOLE)} bytes on several threads"


def brief_ns() -> int:
    """The kernel's time in ns on this thread alone, the shortest of a few tries."""
    return min(_timed(_work) for _ in range(_TRIES))


def _timed(work: Callable[[], object]) -> int:
    before_ns = time.perf_counter_ns()
    work()
    return time.perf_counter_ns() - before_ns


def _work_whole() -> None:
    zlib.crc32(_WHOLE)


class KernelTeam:
    """The kernel on several threads at once: whether the CPUs that a parallel model runs on leave each other their full speed.

    Two virtual CPUs may be one core of the host, or two, as the host likes; alone, a thread sees nothing of that. The other
    threads are parked in between. They run side by side because CRC-32 runs outside Python's lock.
    """

    def __init__(self) -> None:
        self._helpers: list[_Helper] = []

    def slowest_ns(self, threads: int) -> int:
        """The slowest thread's time in ns, each with the shortest of a few tries, while so many run the kernel without a pause."""
        if threads < 2:
            return brief_ns()
        while len(self._helpers) < threads - 1:
            self._helpers.append(_Helper())
        others = self._helpers[: threads - 1]
        with _apart(others):
            for one in others:
                one.begin()
            for one in others:
                one.await_running()
            own_ns = min(_timed(_work_whole) for _ in range(_TRIES))
            return max(own_ns, *(one.end_ns() for one in others))

    def close(self) -> None:
        """End the threads."""
        for one in self._helpers:
            one.close()
        self._helpers.clear()


class _Helper:
    """One more thread that runs the kernel between ``begin`` and ``end_ns``."""

    def __init__(self) -> None:
        self._go, self._running, self._done = (threading.Semaphore(0) for _ in range(3))
        self._stop = self._closed = False
        self._shortest_ns = 0
        self._cpu: int | None = None
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def keep_to(self, cpu: int) -> None:
        """Run on this CPU from now on."""
        if cpu != self._cpu and self._thread.native_id is not None:
            os.sched_setaffinity(self._thread.native_id, {cpu})
            self._cpu = cpu

    def begin(self) -> None:
        """Run it until ``end_ns`` is asked for."""
        self._stop = False
        self._go.release()

    def await_running(self) -> None:
        """Return once it runs."""
        self._running.acquire()

    def end_ns(self) -> int:
        """Its shortest time in ns, once it has stopped."""
        self._stop = True
        self._done.acquire()
        return self._shortest_ns

    def close(self) -> None:
        """End it, while it does not run."""
        self._closed = True
        self._go.release()

    def _serve(self) -> None:
        while self._go.acquire() and not self._closed:
            _work_whole()
            self._running.release()
            self._shortest_ns = _timed(_work_whole)
            while not self._stop:
                self._shortest_ns = min(self._shortest_ns, _timed(_work_whole))
            self._done.release()


@contextmanager
def _apart(others: Sequence[_Helper]) -> Iterator[None]:
    """This thread and the others on a CPU each: a thread that is woken may be put where the one that woke it runs, and wait for it.

    They want Python's lock back soon, too. Where a thread cannot be told where to run, the system decides.
    """
    usual_s, allowed = sys.getswitchinterval(), _allowed()
    sys.setswitchinterval(_SWITCH_S)
    try:
        here = current_cpu()
        if here in allowed and len(allowed) > len(others):
            at = allowed.index(here)
            with suppress(OSError):
                os.sched_setaffinity(0, {here})
                for number, one in enumerate(others, 1):
                    one.keep_to(allowed[(at + number) % len(allowed)])
        yield
    finally:
        sys.setswitchinterval(usual_s)
        with suppress(OSError):
            if allowed:
                os.sched_setaffinity(0, allowed)


def _allowed() -> list[int]:
    """The CPUs that this thread may use; nothing where the system does not tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def _work() -> None:
    for _ in range(_ROUNDS):
        zlib.crc32(_BLOCK)


def current_cpu() -> int | None:
    """The CPU that this thread runs on: column 39 of its stat file (proc_pid_stat(5)), counted from 1."""
    try:
        text = Path("/proc/thread-self/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return int(text[text.rindex(")") + 2 :].split()[_PROCESSOR_COLUMN])


plugin = ReferenceKernel()
