"""How fast the CPUs run now."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from dynolab.measure.readings.base import Field, Reading, Unavailable, read_number, read_text

_MOST_CPUS = 32
"""A look at one CPU costs about 20 us on the machine this was written on, and a reading may cost 1 ms."""


class Clock(Reading):
    """Clock frequency over all CPUs (of many, every n-th).

    Source: ``cpufreq/scaling_cur_freq`` in kHz (kernel: Documentation/admin-guide/pm/cpufreq.rst), else the lines ``cpu
    MHz`` of ``/proc/cpuinfo``. In a virtual machine the latter is a nominal figure that never changes.
    """

    name = "clock"
    fields = {
        "min_hz": Field("gauge", "Hz", "the slowest CPU"),
        "max_hz": Field("gauge", "Hz", "the fastest CPU: the one that reads is busy, so it is awake"),
        "mean_hz": Field("gauge", "Hz", "mean over the CPUs"),
    }

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The frequencies now. Raises :class:`Unavailable` where neither file tells (virtual machines on ARM)."""
        found = _cpufreq_hz(root) or _cpuinfo_hz(root)
        if not found:
            raise Unavailable("no cpufreq/scaling_cur_freq, and no 'cpu MHz' in /proc/cpuinfo")
        return {"min_hz": min(found), "max_hz": max(found), "mean_hz": sum(found) / len(found)}


def _cpufreq_hz(root: Path) -> Sequence[float]:
    folders = sorted((root / "sys/devices/system/cpu").glob("cpu[0-9]*/cpufreq"))
    some = folders[:: -(-len(folders) // _MOST_CPUS) or 1]
    values = (read_number(folder / "scaling_cur_freq") for folder in some)
    return [value * 1e3 for value in values if value]


def _cpuinfo_hz(root: Path) -> Sequence[float]:
    rows = (line.partition(":") for line in read_text(root, "proc/cpuinfo").splitlines() if line.startswith("cpu MHz"))
    return [float(value) * 1e6 for _, _, value in rows]


plugin = Clock()
