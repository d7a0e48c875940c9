"""How long this process's threads were ready to run but had to wait for a CPU."""

from __future__ import annotations

from pathlib import Path

from dynolab.measure.readings.base import Field, Reading, Unavailable, read_tasks, read_text


class RunQueue(Reading):
    """Run-queue delay and CPU time, summed over all threads of this process.

    Source: ``/proc/self/task/*/schedstat`` (of the main thread ``/proc/self/schedstat``), whose first two numbers are the nanoseconds on a CPU and the nanoseconds on
    a run queue (kernel: Documentation/scheduler/sched-stats.rst). A thread that exits within a window takes its share
    with it: the growth is then too small, never too large.
    """

    name = "run_queue"
    fields = {
        "delay_ns": Field("counter", "ns", "time that threads of this process were runnable without running"),
        "on_cpu_ns": Field("counter", "ns", "time that threads of this process ran"),
        "main_cpu_ns": Field("counter", "ns", "time that the main thread ran"),
    }

    def read(self, root: Path = Path("/")) -> dict[str, float]:
        """The sums since each thread's start. Raises :class:`Unavailable` without CONFIG_SCHED_INFO."""
        on_cpu_ns, delay_ns = 0, 0
        for text in read_tasks(root, "schedstat"):
            words = text.split()
            if len(words) < 2:
                raise Unavailable("/proc/self/task/*/schedstat: empty")
            on_cpu_ns += int(words[0])
            delay_ns += int(words[1])
        if not on_cpu_ns:
            raise Unavailable(
                "/proc/self/task/*/schedstat: not there, or only zeros (a kernel without CONFIG_SCHED_INFO)"
            )
        main_cpu_ns = float(read_text(root, "proc/self/schedstat").split()[0])
        return {"delay_ns": float(delay_ns), "on_cpu_ns": float(on_cpu_ns), "main_cpu_ns": main_cpu_ns}


plugin = RunQueue()
