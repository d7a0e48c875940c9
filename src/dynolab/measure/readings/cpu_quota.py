"""How often a CPU quota stopped this process: a control group's bandwidth limit, as containers have it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from dynolab.measure import cgroups
from dynolab.measure.readings.base import Field, Reading, Unavailable, table


class CpuQuota(Reading):
    """Throttling of this process's control group and of all groups around it.

    Source: ``cpu.stat`` of cgroups of version 2 (kernel: Documentation/admin-guide/cgroup-v2.rst) and 1
    (Documentation/scheduler/sched-bwc.rst). A group counts periods only while it has a quota and work.
    """

    name = "cpu_quota"
    fields = {
        "periods": Field("counter", "1", "periods of a CPU quota that began"),
        "throttled_periods": Field("counter", "1", "periods in which the quota was used up, and the process stopped"),
        "throttled_ns": Field("counter", "ns", "time for which the quota stopped threads, summed over CPUs"),
    }

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The sums over the groups. Raises :class:`Unavailable` where none can be read."""
        limited = limited_groups(_stats(root))
        if not limited:
            raise Unavailable("no control group below /sys/fs/cgroup tells of a CPU quota")
        return {
            "periods": sum(_number(group, "nr_periods") for group in limited),
            "throttled_periods": sum(_number(group, "nr_throttled") for group in limited),
            "throttled_ns": throttled_ns(limited),
        }


def limited_groups(texts: Iterable[str]) -> list[dict[str, list[str]]]:
    """The contents of those ``cpu.stat`` that tell of a quota."""
    return [group for group in map(table, texts) if "nr_periods" in group]


def throttled_ns(groups: Iterable[dict[str, list[str]]]) -> float:
    """The time for which quotas stopped threads, as versions 2 and 1 call it."""
    return sum(_number(group, "throttled_usec") * 1e3 + _number(group, "throttled_time") for group in groups)


def _number(group: dict[str, list[str]], name: str) -> float:
    return float(group.get(name, ["0"])[0])


def _stats(root: Path) -> Iterator[str]:
    """``cpu.stat`` of this process's groups from the innermost to the outermost that can be seen here."""
    for folder in cgroups.folders(root, "cpu"):
        with suppress(OSError):
            yield (root / folder / "cpu.stat").read_text(encoding="ascii")


plugin = CpuQuota()
