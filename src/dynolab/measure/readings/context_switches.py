"""How often this process's threads were taken off their CPU."""

from __future__ import annotations

import resource
from pathlib import Path

from dynolab.measure.readings.base import Field, Reading, read_tasks, table


class ContextSwitches(Reading):
    """Context switches of this process.

    Source: ``getrusage(2)``, ``ru_nivcsw`` and ``ru_nvcsw``, which also hold the threads that have exited. In a recorded
    tree: ``/proc/self/task/*/status``, ``nonvoluntary_ctxt_switches`` and ``voluntary_ctxt_switches`` (proc_pid_status(5)).
    """

    name = "context_switches"
    fields = {
        "involuntary": Field("counter", "1", "a thread was preempted while it could have gone on"),
        "voluntary": Field("counter", "1", "a thread gave its CPU up to wait for something"),
    }

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The counts since the process's start."""
        if root == Path("/"):
            usage = resource.getrusage(resource.RUSAGE_SELF)
            return {"involuntary": float(usage.ru_nivcsw), "voluntary": float(usage.ru_nvcsw)}
        rows = [table(text) for text in read_tasks(root, "status")]
        return {
            "involuntary": sum(float(row["nonvoluntary_ctxt_switches"][0]) for row in rows),
            "voluntary": sum(float(row["voluntary_ctxt_switches"][0]) for row in rows),
        }


plugin = ContextSwitches()
