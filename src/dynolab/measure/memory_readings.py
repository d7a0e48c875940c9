"""What /proc tells of the memory of a process tree: exact readings for the edges of a stage, cheap ones in between."""

from __future__ import annotations

import ctypes
import gc
import os
import sys
from collections.abc import Iterable
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from dynolab.measure.clock import now_ns
from dynolab.sandbox._system_calls import PR_SET_CHILD_SUBREAPER, prctl
from dynolab.sandbox._tree import descendants, kernel_text
from dynolab.spec.measurements import MemoryEdge

_METHOD = "procfs: smaps_rollup and smaps at the edges, VmHWM reset by clear_refs, /proc/<pid>/status sampled"
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
        Path("/proc/self/clear_refs").write_text("5")
    except OSError as error:
        return f"/proc/self/clear_refs cannot be written ({error.strerror}): peaks would not be the stage's own"
    return None


def method() -> str:
    """How memory is read on this system, and what it cannot do."""
    trims = hasattr(ctypes.CDLL(None), "malloc_trim")
    return _METHOD if trims else f"{_METHOD}; the C library has no malloc_trim: heap that was freed may count as used"


def resolution_bytes() -> int:
    """How far ``VmHWM`` may lag behind: the batches that each CPU keeps to itself, in each of the three counters it sums.

    max(32, 2 x CPUs) pages for each CPU (``percpu_counter_batch``, lib/percpu_counter.c of Linux 6.2 and later), for
    anonymous, file-backed and shared pages (``get_mm_rss``, include/linux/mm.h).
    """
    processors = os.cpu_count() or 1
    return RESIDENT_COUNTERS * max(32, 2 * processors) * processors * os.sysconf("SC_PAGE_SIZE")


def adopt_orphans() -> None:
    """Have processes that lose their parent become children of this one, so that :func:`read_edge` finds them."""
    prctl(ctypes.CDLL(None, use_errno=True), PR_SET_CHILD_SUBREAPER, 1)


def reset_high_water() -> None:
    """Set ``VmHWM`` of this process and its descendants to what is resident now.

    proc_pid_clear_refs(5): value 5, Linux 4.0 and later. Those that are not ours to write to keep theirs.
    """
    Path("/proc/self/clear_refs").write_text("5")
    for child in descendants(os.getpid()):
        with suppress(OSError):
            Path(f"/proc/{child}/clear_refs").write_text("5")


def release() -> None:
    """Collect garbage, and have the C library give free heap back where it can (malloc_trim(3), glibc)."""
    gc.collect()
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


@dataclass(frozen=True, slots=True)
class Software:
    """Where installed software lies, such as a runtime's libraries, and what is not software although it lies there."""

    places: tuple[str, ...]
    apart: tuple[str, ...] = ()

    def has(self, path: str) -> bool:
        """Whether a mapped file is software."""
        return _below(path, self.places) and not _below(path, self.apart)


def software(apart: Iterable[Path]) -> Software:
    """The software of this system and of this Python; ``apart``: files and folders of the model and of the run."""
    places = {"/usr", "/lib", "/lib64", "/opt", "/nix/store", sys.prefix, sys.base_prefix, *filter(None, sys.path)}
    return Software(tuple(map(os.path.realpath, sorted(places))), tuple(os.path.realpath(path) for path in apart))


def _below(path: str, places: Iterable[str]) -> bool:
    return any(path == place or path.startswith(place.rstrip("/") + "/") for place in places)


@dataclass(frozen=True, slots=True)
class _Member:
    """One process of a tree; shares are what it has of pages that several processes have, all bytes."""

    rollup: dict[str, int]
    status: dict[str, int]
    library_resident: int
    library_share: int

    @property
    def above_resident(self) -> int:
        """How far the most that was ever resident is above what is resident now."""
        return max(0, self.status.get("VmHWM", 0) - self.status.get("VmRSS", 0))


def read_edge(pid: int | None = None, apart: Software | None = None) -> MemoryEdge:
    """The memory of ``pid`` (None: this process) and its descendants now, exactly, by walking their pages.

    Pages that several of the tree's processes have count once. File pages of the software given are told ``apart``; they
    are counted whole, since how many other processes use them changes all the time. Costs milliseconds.
    """
    own = os.getpid() if pid is None else pid
    children, unread = [], 0
    for child in descendants(own):
        if _one_memory(own, child):
            continue
        try:
            children.append(_member(child, apart))
        except PermissionError:
            unread += 1
        except (OSError, LookupError, ValueError):
            continue  # it ended meanwhile
    return _sum(_member(own, apart), children, unread)


_KCMP = {"x86_64": 312, "aarch64": 272}.get(os.uname().machine) if hasattr(os, "uname") else None
_KCMP_VM = 1


def _one_memory(first: int, second: int) -> bool:
    """Whether two processes are one in memory, as after vfork(2) until the second becomes another program (kcmp(2)).

    False where the system does not tell, as in a sandbox: there it is our own process, which vfork keeps waiting.
    """
    if _KCMP is None:
        return False
    kernel = ctypes.CDLL(None)
    return bool(kernel.syscall(_KCMP, first, second, _KCMP_VM, ctypes.c_ulong(0), ctypes.c_ulong(0)) == 0)


def _sum(first: _Member, children: list[_Member], unread: int) -> MemoryEdge:
    members = [first, *children]
    if children:
        anonymous, shared, file, swap = (
            sum(member.rollup[key] for member in members) for key in ("Pss_Anon", "Pss_Shmem", "Pss_File", "SwapPss")
        )
        file -= sum(member.library_share for member in members)
    else:
        # Alone in the tree: other trees' shares of the same pages do not make it smaller.
        anonymous, shared, swap = first.rollup["Anonymous"], first.status.get("RssShmem", 0), first.rollup["Swap"]
        file = first.rollup["Rss"] - anonymous - shared - first.library_resident
    library = first.library_resident + sum(child.library_share for child in children)
    lazy = min(anonymous, sum(member.rollup["LazyFree"] for member in members))
    resident = anonymous + shared + max(0, file) + library
    return MemoryEdge(
        at_ns=now_ns(),
        resident_bytes=resident,
        anonymous_bytes=anonymous - lazy,
        file_bytes=max(0, file) + library,
        shared_bytes=shared,
        swap_bytes=swap,
        huge_bytes=sum(member.rollup["AnonHugePages"] for member in members),
        high_water_bytes=resident + sum(member.above_resident for member in members),
        library_bytes=library,
        lazy_free_bytes=lazy,
        unread_processes=unread,
    )


def _member(pid: int, apart: Software | None) -> _Member:
    status, rollup = _read(pid, "status"), _read(pid, "smaps_rollup")
    resident, share = (0, 0) if apart is None else _software_pages(pid, apart)
    if "Pss_Anon" not in rollup:
        raise LookupError(f"process {pid} has no memory: it ended")
    return _Member(rollup, status, resident, share)


def _software_pages(pid: int, apart: Software) -> tuple[int, int]:
    """File pages of software that a process has mapped: resident, and its share of them."""
    resident = share = 0
    inside, last, mapped = False, b"", dict[bytes, int]()
    with Path(f"/proc/{pid}/smaps").open("rb") as lines:
        for line in lines:  # some twenty of each mapping, most of which are passed over: this is the cost of an edge
            if not line[
                :1
            ].isupper():  # a mapping's first one begins with its address, those of its fields with their names
                name = line[line.index(b"/") :] if b"/" in line else b""
                if name != last:  # a file's mappings follow each other; to remember more would take memory in the stage
                    path = os.fsdecode(name.rstrip(b"\n").removesuffix(b" (deleted)"))
                    inside, last = bool(path) and apart.has(path), name
                mapped = {}
            elif inside and line.startswith((b"Rss:", b"Pss:", b"Pss_Dirty:", b"Anonymous:")):
                name, _, rest = line.partition(b":")
                mapped[name] = int(rest.split()[0]) * _KIB
                if name == b"Anonymous" and mapped[b"Rss"]:
                    file = mapped[b"Rss"] - mapped[b"Anonymous"]
                    resident += file
                    # What was written to is no page of the file any more. Kernels before 6.0 do not tell its share.
                    written = mapped.get(b"Pss_Dirty", mapped[b"Pss"] * mapped[b"Anonymous"] // mapped[b"Rss"])
                    share += max(0, mapped[b"Pss"] - written)
    return resident, share


def sample(pid: int) -> MemoryEdge | None:
    """A cheap look at ``pid`` from outside (exact only where it has children); None when it has ended."""
    try:
        if descendants(pid):
            # A page that a second process takes up between the readings of both would count twice: not so in both of two.
            return min(read_edge(pid), read_edge(pid), key=lambda edge: edge.resident_bytes)
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
    except (OSError, LookupError):
        return None


def _read(pid: int | str, name: str) -> dict[str, int]:
    """The fields of ``Name:   123 kB`` lines of one of a process's files, in bytes."""
    found = {}
    for line in kernel_text(f"/proc/{pid}/{name}").splitlines():
        field, _, rest = line.partition(":")
        words = rest.split()
        if len(words) == 2 and words[1] == "kB":
            found[field] = int(words[0]) * _KIB
    return found
