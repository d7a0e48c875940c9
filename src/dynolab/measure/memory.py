"""Memory of a process tree: what is read at the edges of a stage, and the arithmetic that turns it into ranges."""

from __future__ import annotations

import ctypes
import gc
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from dynolab.measure.clock import now_ns
from dynolab.sandbox._tree import descendants
from dynolab.spec.measurements import MemoryEdge, Range

METHOD = "procfs: smaps_rollup at the edges, VmHWM reset by clear_refs, /proc/<pid>/status sampled"
_KIB = 1024
RESIDENT_COUNTERS = 3


def unavailable() -> str | None:
    """Why memory cannot be measured on this system, or None."""
    for path in ("/proc/self/smaps_rollup", "/proc/self/status"):
        if not os.access(path, os.R_OK):
            return f"{path} cannot be read here: memory is measured on Linux with /proc only"
    if "Pss_Anon" not in _read("self", "smaps_rollup"):
        return "this kernel's smaps_rollup does not tell anonymous from file-backed shares (Linux 5.4 and later do)"
    try:
        reset_high_water()
    except OSError as error:
        return f"/proc/self/clear_refs cannot be written ({error.strerror}): peaks would not be the stage's own"
    return None


def resolution_bytes() -> int:
    """How far ``VmHWM`` may lag behind: the batches that each CPU keeps to itself, in each of the three counters it sums.

    max(32, 2 x CPUs) pages for each CPU (``percpu_counter_batch``, lib/percpu_counter.c of Linux 6.2 and later), for
    anonymous, file-backed and shared pages (``get_mm_rss``, include/linux/mm.h).
    """
    processors = os.cpu_count() or 1
    return RESIDENT_COUNTERS * max(32, 2 * processors) * processors * os.sysconf("SC_PAGE_SIZE")


def reset_high_water(pid: int | str = "self") -> None:
    """Set ``VmHWM`` to the current resident size (proc_pid_clear_refs(5): value 5, Linux 4.0 and later)."""
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def release() -> None:
    """Collect garbage, and have the C library give free heap back where it can (malloc_trim(3), glibc)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _kib_fields(text: str) -> dict[str, int]:
    """Fields of ``Name:   123 kB`` lines, in bytes."""
    found = {}
    for line in text.splitlines():
        name, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            found[name] = int(words[0]) * _KIB
    return found


def _read(pid: int | str, name: str) -> dict[str, int]:
    return _kib_fields(Path(f"/proc/{pid}/{name}").read_text())


def read_edge(pid: int | None = None) -> MemoryEdge:
    """The memory of ``pid`` (None: this process) and its descendants now, exactly, by walking their pages.

    Pages that several of the tree's processes share count once: descendants count by proportional shares. Costs
    milliseconds. LazyFree pages count as free.
    """
    own = os.getpid() if pid is None else pid
    status = _read(own, "status")
    rollup = _read(own, "smaps_rollup")
    shared = status.get("RssShmem", 0)
    anonymous = rollup["Pss_Anon"] - rollup["LazyFree"]
    file = max(0, rollup["Rss"] - rollup["Anonymous"] - shared)
    swap, huge, high_water = rollup["Swap"], rollup["AnonHugePages"], status["VmHWM"]
    for child in descendants(own):
        try:
            part, peak = _read(child, "smaps_rollup"), _read(child, "status").get("VmHWM", 0)
        except (OSError, ValueError):
            continue
        if "Pss_Anon" not in part:
            continue
        anonymous += part["Pss_Anon"] - part["LazyFree"]
        file += part["Pss_File"]
        shared += part["Pss_Shmem"]
        swap += part["SwapPss"]
        huge += part["AnonHugePages"]
        high_water += part["Pss"] + max(0, peak - part["Rss"])
    return MemoryEdge(
        at_ns=now_ns(),
        resident_bytes=anonymous + file + shared,
        anonymous_bytes=anonymous,
        file_bytes=file,
        shared_bytes=shared,
        swap_bytes=swap,
        huge_bytes=huge,
        high_water_bytes=high_water,
    )


def sample(pid: int) -> MemoryEdge | None:
    """A cheap look at ``pid`` from outside (exact only where it has children); None when it has ended."""
    try:
        if descendants(pid):
            return read_edge(pid)
        status = _read(pid, "status")
        return MemoryEdge(
            at_ns=now_ns(),
            resident_bytes=status["VmRSS"],
            anonymous_bytes=status["RssAnon"],
            file_bytes=status["RssFile"],
            shared_bytes=status["RssShmem"],
            swap_bytes=status["VmSwap"],
            huge_bytes=0,
            high_water_bytes=status["VmHWM"],
        )
    except (OSError, KeyError):
        return None


def claimed(edge: MemoryEdge) -> int:
    """What only swap could take: anonymous and shared memory, and what is swapped out already."""
    return edge.anonymous_bytes + edge.shared_bytes + edge.swap_bytes


def ranges(
    start: MemoryEdge, end: MemoryEdge, released: MemoryEdge, samples: Sequence[MemoryEdge]
) -> tuple[Range, Range]:
    """Raw peak and increase of one stage, in bytes over its start; an end may be negative.

    ``end`` is read before temporaries are released, ``released`` after; ``VmHWM`` was reset at ``start``. By
    construction lower <= upper and increase <= peak at both ends, whatever the readings say (measuring.md section 3).
    """
    base = start.resident_bytes + start.swap_bytes
    high_water = end.high_water_bytes + end.swap_bytes
    largest_file = largest_file_bytes([start, end, released, *samples])
    increase_lower = claimed(released) - claimed(start)
    increase_upper = max(end.resident_bytes + end.swap_bytes - base, increase_lower)
    seen = max(claimed(edge) for edge in [start, end, released, *samples])
    peak_lower = max(seen, high_water - largest_file) - claimed(start)
    tree = max((edge.resident_bytes + edge.swap_bytes for edge in samples), default=0)
    peak_upper = max(high_water - base, tree - base, increase_upper, peak_lower)
    return Range(peak_lower, peak_upper), Range(increase_lower, increase_upper)


def largest_file_bytes(edges: Iterable[MemoryEdge]) -> int:
    """The largest file-backed resident size seen."""
    return max(edge.file_bytes for edge in edges)


def within(samples: Sequence[MemoryEdge], start: MemoryEdge, end: MemoryEdge) -> list[MemoryEdge]:
    """The samples taken inside a stage, by their monotonic time stamps."""
    return [edge for edge in samples if start.at_ns <= edge.at_ns <= end.at_ns]
