"""How long the hypervisor kept this machine's virtual CPUs waiting."""

from __future__ import annotations

import os
from pathlib import Path

from dynolab.measure.readings.base import Field, Reading, Unavailable, read_text, table

_STEAL_COLUMN = 7
"""user nice system idle iowait irq softirq *steal* (proc_stat(5))."""


class Steal(Reading):
    """Time that virtual CPUs were ready while the hypervisor ran somebody else.

    Source: ``/proc/stat``, column ``steal`` of the line ``cpu``, in ticks (proc_stat(5)). A host that does not tell its
    guests leaves it at 0, and a busy sibling hyper-thread is never in it: see ``reference_kernel``.
    """

    name = "steal"
    fields = {"stolen_ns": Field("counter", "ns", "involuntary wait of all virtual CPUs, summed; resolution is a tick")}

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The sum since boot. Raises :class:`Unavailable` without the column (Linux before 2.6.11, or no ``/proc``)."""
        columns = table(read_text(root, "proc/stat")).get("cpu", [])
        if len(columns) <= _STEAL_COLUMN:
            raise Unavailable("/proc/stat: no steal column")
        return {"stolen_ns": float(columns[_STEAL_COLUMN]) * 1e9 / os.sysconf("SC_CLK_TCK")}


plugin = Steal()
