"""How long work stood still for want of CPU, memory or disk, anywhere on this machine."""

from __future__ import annotations

from pathlib import Path

from dynolab.measure.readings.base import Field, Reading, Unavailable, read_text, table

_RESOURCES = ("cpu", "memory", "io")


class Pressure(Reading):
    """Pressure stall information: the totals of ``some`` (a task waited) and ``full`` (all tasks waited).

    Source: ``/proc/pressure/*``, ``total=`` in microseconds (kernel: Documentation/accounting/psi.rst). It counts this
    process's own waiting too: its threads for each other, and its own reads of the disk.
    """

    name = "pressure"
    fields = {
        f"{resource}_{kind}_us": Field("counter", "us", f"time that {who} waited for {resource}")
        for resource in _RESOURCES
        for kind, who in (("some", "at least one task"), ("full", "all tasks that had work"))
    }

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The totals since boot. Raises :class:`Unavailable` without CONFIG_PSI, or with ``psi=0`` on the command line."""
        values: dict[str, float] = {}
        for resource in _RESOURCES:
            for kind, columns in table(read_text(root, f"proc/pressure/{resource}")).items():
                total = next((word for word in columns if word.startswith("total=")), None)
                if total is None:
                    raise Unavailable(f"/proc/pressure/{resource}: no total in line {kind}")
                values[f"{resource}_{kind}_us"] = float(total.removeprefix("total="))
        return values


plugin = Pressure()
