"""How often this process had to wait for memory pages, and what it read from the disk."""

from __future__ import annotations

import resource
from pathlib import Path

from dynolab.measure.readings.base import Field, Reading, Unavailable, read_text, table

_BLOCK_BYTES = 512
"""getrusage(2) counts ``ru_inblock`` in units of 512 bytes."""


class Faults(Reading):
    """Page faults of this process and the bytes that it caused to be read from a block device.

    Source: ``getrusage(2)`` (``ru_majflt``, ``ru_minflt``, ``ru_inblock``) and ``/proc/self/io`` ``read_bytes``
    (proc_pid_io(5)). In a recorded tree only the latter is read. What a memory file system or a network file system
    delivers is in neither count of bytes.
    """

    name = "faults"
    fields = {
        "major": Field("counter", "1", "page faults that needed input from a disk"),
        "minor": Field("counter", "1", "page faults served from memory"),
        "block_input_bytes": Field("counter", "bytes", "ru_inblock x 512: blocks read for this process"),
        "read_bytes": Field("counter", "bytes", "bytes fetched from storage for this process, by /proc/self/io"),
    }

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The counts since the process's start; ``read_bytes`` only where ``/proc/self/io`` may be read."""
        values: dict[str, float] = {}
        if root == Path("/"):
            usage = resource.getrusage(resource.RUSAGE_SELF)
            values["major"], values["minor"] = float(usage.ru_majflt), float(usage.ru_minflt)
            values["block_input_bytes"] = float(usage.ru_inblock * _BLOCK_BYTES)
        try:
            values["read_bytes"] = float(table(read_text(root, "proc/self/io"))["read_bytes"][0])
        except Unavailable:
            if not values:
                raise
        return values


plugin = Faults()
