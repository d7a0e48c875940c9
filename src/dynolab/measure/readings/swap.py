"""Whether memory went to swap, ours or anybody's."""

from __future__ import annotations

from pathlib import Path

from dynolab.measure.readings.base import Field, Reading, Unavailable, read_text, table


class Swap(Reading):
    """This process's memory in swap, and the pages that the whole system moved.

    Source: ``/proc/self/status`` ``VmSwap`` in kB of 1024 bytes (proc_pid_status(5)); ``/proc/vmstat`` ``pswpin`` and
    ``pswpout`` in pages since boot (proc_vmstat(5)).
    """

    name = "swap"
    fields = {
        "own_bytes": Field("gauge", "bytes", "anonymous memory of this process that is in swap"),
        "pages_in": Field("counter", "pages", "pages brought in from swap, system-wide"),
        "pages_out": Field("counter", "pages", "pages sent out to swap, system-wide"),
    }

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The values now. Raises :class:`Unavailable` for a kernel built without swap."""
        own = table(read_text(root, "proc/self/status")).get("VmSwap")
        if own is None:
            raise Unavailable("/proc/self/status: no VmSwap (a kernel without swap)")
        values = {"own_bytes": float(own[0]) * 1024}
        try:
            moved = table(read_text(root, "proc/vmstat"))
        except Unavailable:
            return values
        for field, row in (("pages_in", "pswpin"), ("pages_out", "pswpout")):
            if row in moved:
                values[field] = float(moved[row][0])
        return values


plugin = Swap()
