"""The limit on a worker's memory: a cgroup where one is delegated to us, else the executor watches its size."""

from __future__ import annotations

import itertools
import os
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from types import MappingProxyType

from dynolab import errors
from dynolab.measure.executor import oom
from dynolab.spec.measurements import MemoryEdge

_ROOT = Path("/sys/fs/cgroup")
_NUMBERS = itertools.count(1)
"""A process may keep several: one for each side of a duet."""


class MemoryLimit:
    """No limit. ``method`` names how the bound is kept."""

    method: str | None = None
    watches = False
    _kills: Mapping[str, int] = MappingProxyType({})

    def admit(self, pid: int) -> None:
        """Put a process under the bound, and note how many were killed for want of memory until then."""
        del pid
        self._kills = oom.kills()

    def killed_for_memory(self) -> str | None:
        """Where the kernel tells that it has killed for want of memory since; None: nothing tells that."""
        return oom.more_than(self._kills)

    def exceeded(self, edge: MemoryEdge) -> errors.Error | None:
        """The error, when a look from outside shows more than the bound."""
        del edge
        return None

    def verdict(self) -> errors.Error | None:
        """The error, when the kernel killed for the bound."""
        return None

    def close(self) -> None:
        """Remove what was set up."""


class WatchedLimit(MemoryLimit):
    """RLIMIT_DATA in the worker (it sets it itself), and looks at its resident size from outside."""

    method = "RLIMIT_DATA and the executor's watch"
    watches = True

    def __init__(self, limit_bytes: int) -> None:
        self._limit_bytes = limit_bytes

    def exceeded(self, edge: MemoryEdge) -> errors.Error | None:
        used = edge.resident_bytes + edge.swap_bytes
        if used <= self._limit_bytes:
            return None
        return limit_error(self._limit_bytes, f"{used / 1e6:.0f} MB were resident")


class CgroupLimit(MemoryLimit):
    """A control group of our own with a hard limit (cgroups(7), version 2 or 1)."""

    def __init__(self, folder: Path, limit_bytes: int, version: int) -> None:
        self.method = f"control group (version {version})"
        self.folder, self._limit_bytes, self._version = folder, limit_bytes, version
        folder.mkdir()
        try:
            names = ("memory.max", "memory.swap.max") if version == 2 else ("memory.limit_in_bytes",)
            (folder / names[0]).write_text(str(limit_bytes))
            for name in names[1:]:
                with suppress(OSError):
                    (folder / name).write_text("0")
        except OSError:
            self.close()
            raise

    def admit(self, pid: int) -> None:
        super().admit(pid)
        (self.folder / "cgroup.procs").write_text(str(pid))

    def verdict(self) -> errors.Error | None:
        name = "memory.events" if self._version == 2 else "memory.oom_control"
        counters = dict(line.split()[:2] for line in (self.folder / name).read_text().splitlines())
        if int(counters.get("oom_kill", 0)):
            return limit_error(self._limit_bytes, "the kernel killed the worker")
        return None

    def close(self) -> None:
        with suppress(OSError):
            self.folder.rmdir()


def limit_error(limit_bytes: int, why: str, stage: str = "") -> errors.OutOfMemory:
    """The error of a bound that was reached, in which stage if that is known."""
    hint = "raise --memory-limit, or profile without it to see what the model needs"
    limit = limit_bytes / 1e6
    if stage:
        return errors.OutOfMemory(f"the memory limit of {limit:.0f} MB was reached in {stage} ({why})", hint=hint)
    return errors.OutOfMemory(f"the memory limit of {limit:.0f} MB was reached: {why}", hint=hint)


def make(limit_bytes: int | None) -> MemoryLimit:
    """The strictest memory limit that this system lets us set, or one without a bound for None.

    ``DYNOLAB_NO_CGROUP`` in the environment leaves control groups alone.
    """
    if limit_bytes is None:
        return MemoryLimit()
    if os.environ.get("DYNOLAB_NO_CGROUP"):
        return WatchedLimit(limit_bytes)
    for folder, version in _places():
        _sweep(folder)
        try:
            return CgroupLimit(folder / f"dynolab-{os.getpid()}-{next(_NUMBERS)}", limit_bytes, version)
        except OSError:
            continue
    return WatchedLimit(limit_bytes)


def _sweep(folder: Path) -> None:
    """Remove the groups of executors that were killed before they could: those whose process is gone."""
    for left in folder.glob("dynolab-*"):
        if not Path("/proc", left.name.split("-")[1]).exists():
            with suppress(OSError):
                left.rmdir()


def _places() -> list[tuple[Path, int]]:
    """Groups in which we may try to make one of ours: our own group, by version."""
    try:
        lines = Path("/proc/self/cgroup").read_text().splitlines()
    except OSError:
        return []
    places = []
    for line in lines:
        _, controllers, path = line.split(":", 2)
        inside = path.lstrip("/")
        if not controllers:
            folder = _ROOT / inside
            with suppress(OSError):
                if "memory" in (folder / "cgroup.subtree_control").read_text().split():
                    places.append((folder, 2))
        elif "memory" in controllers.split(","):
            places.append((_ROOT / "memory" / inside, 1))
    return places
