"""What a running hub's processes hold and use: its own, those of its database, and its agent's."""

from __future__ import annotations

import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

KINDS = ("hub", "postgres", "agent")
TICKS_HZ = os.sysconf("SC_CLK_TCK")
PROCESS_CLOCK = 2
"""``CPUCLOCK_SCHED``, in the number of the clock of another process (Linux, ``include/linux/posix-timers_types.h``)."""


def pss(hub: int) -> dict[str, float]:
    """MB of each kind of process: shared pages are counted once among those that share them."""
    found = dict.fromkeys(KINDS, 0.0)
    for pid, kind in _processes(hub):
        with suppress(OSError):
            sizes = re.search(r"^Pss: +(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
            found[kind] += int(sizes[1]) * 1024 / 1e6 if sizes else 0
    return found


def cpu_s(hub: int) -> dict[str, float]:
    """Seconds of processor time that each kind of process has used, all threads; of the database's, with those of ended children.

    A process's own clock (clock_getcpuclockid(3)) counts nanoseconds, where ``/proc`` counts ticks of 10 ms.
    """
    found = dict.fromkeys(KINDS, 0.0)
    for pid, kind in _processes(hub):
        with suppress(OSError):
            found[kind] += time.clock_gettime(~pid << 3 | PROCESS_CLOCK)
        if kind == "postgres":  # the hub's own ended children are those that made the database: no part of its work
            found[kind] += sum(map(int, _stat(pid)[13:15])) / TICKS_HZ
    return found


def _processes(hub: int) -> Iterator[tuple[int, str]]:
    """The hub and all its descendants, with their kinds."""
    parents = {int(path.name): _parent(int(path.name)) for path in Path("/proc").glob("[0-9]*")}
    for pid in parents:
        line = [pid]
        while line[-1] in parents and line[-1] != hub:
            line.append(parents[line[-1]])
        if line[-1] != hub:
            continue
        with suppress(OSError):
            command = Path(f"/proc/{pid}/cmdline").read_bytes()
            yield pid, "hub" if pid == hub else "postgres" if b"postgres" in command.split(b"\0")[0] else "agent"


def _parent(pid: int) -> int:
    fields = _stat(pid)
    return int(fields[1]) if fields else 0


def _stat(pid: int) -> list[str]:
    """The fields of ``/proc/PID/stat`` after the name, from the state on (proc(5)); none for a process that is gone."""
    with suppress(OSError):
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return []
