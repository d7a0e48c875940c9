"""How much CPU time everybody else on this machine used."""

from __future__ import annotations

import os
import resource
import time
from pathlib import Path

from dynolab.measure.readings.base import Field, Reading, Unavailable, read_tasks, read_text, table

_BUSY_COLUMNS = (0, 1, 2, 5, 6)
"""user nice system irq softirq; idle, iowait and steal are nobody's work, guest is in user already (proc_stat(5))."""
_UTIME_COLUMN = 13
"""utime stime cutime cstime, counted from 0 with the process's name as column 1 (proc_pid_stat(5))."""


class Neighbours(Reading):
    """CPU time that all but this process used: the machine's busy time minus our own and our waited-for children's.

    Source: ``/proc/stat``, line ``cpu``, which the kernel counts in ticks (``tick_ns``, 10 ms on most systems), so each
    end of a window may be off by a tick and more; ``getrusage(2)`` for our own, in microseconds. Children that still run
    count as others; so do kernel threads, also those that work for us. ``at_ns`` is the clock at the reading: this window
    may be wider than the pass, because the resolution is poor. ``runnable_others`` sees what a tick cannot: who is
    ready to run at this very instant.
    """

    name = "neighbours"
    fields = {
        "others_cpu_ns": Field("counter", "ns", "CPU time of all other processes and of interrupts"),
        "at_ns": Field("counter", "ns", "monotonic clock at the reading"),
        "runnable_others": Field("gauge", "1", "threads of others that run or are ready to, at this instant"),
        "tick_ns": Field("gauge", "ns", "resolution of others_cpu_ns"),
        "cores": Field("gauge", "1", "CPUs that are online"),
    }

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The values now. Raises :class:`Unavailable` without ``/proc/stat`` (Android hides it)."""
        rows = table(read_text(root, "proc/stat"))
        columns = rows.get("cpu", [])
        if len(columns) <= max(_BUSY_COLUMNS):
            raise Unavailable("/proc/stat: no line cpu")
        tick_ns = 1e9 / os.sysconf("SC_CLK_TCK")
        values = {
            "others_cpu_ns": sum(float(columns[index]) for index in _BUSY_COLUMNS) * tick_ns
            - _own_cpu_ns(root, tick_ns),
            "at_ns": float(time.monotonic_ns()),
            "tick_ns": tick_ns,
            "cores": float(sum(name.startswith("cpu") for name in rows) - 1),
        }
        if "procs_running" in rows:
            running = int(rows["procs_running"][0])
            values["runnable_others"] = float(max(0, running - _own_running(root))) if running > 1 else 0.0
        return values


def _own_cpu_ns(root: Path, tick_ns: float) -> float:
    if root == Path("/"):
        usages = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        return sum(usage.ru_utime + usage.ru_stime for usage in usages) * 1e9
    return sum(float(word) for word in _stat_words(read_text(root, "proc/self/stat"))[_UTIME_COLUMN:][:4]) * tick_ns


def _own_running(root: Path) -> int:
    return sum(_stat_words(text)[2] == "R" for text in read_tasks(root, "stat"))


def _stat_words(text: str) -> list[str]:
    """The columns of a stat file; the name, which may hold spaces and brackets, is one of them."""
    start, end = text.index("("), text.rindex(")")
    return [text[:start].strip(), text[start + 1 : end], *text[end + 1 :].split()]


plugin = Neighbours()
