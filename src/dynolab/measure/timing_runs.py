"""Processes of a timing pass: as windows, and which of them count. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from dynolab.measure.time_range import ProcessTimes
from dynolab.spec.measurements import LoopWindow, Witnesses
from dynolab.spec.profiles import RANKS, TimingRun


def window_of(witnesses: Witnesses) -> LoopWindow:
    """A compilation or a load as one window."""

    def grown(key: str) -> int | None:
        return int(witnesses.grown[key]) if key in witnesses.grown else None

    kernel = "reference_kernel.integer_ns"
    # Nothing that goes on all the while can have missed the worse edge.
    kernels = [int(edge[kernel]) for edge in (witnesses.before, witnesses.after) if kernel in edge]
    return LoopWindow(
        count=1,
        wall_ns=witnesses.wall_ns,
        cpu_ns=grown("run_queue.on_cpu_ns"),
        main_cpu_ns=grown("run_queue.main_cpu_ns"),
        delay_ns=grown("run_queue.delay_ns"),
        throttled_ns=grown("cpu_quota.throttled_ns"),
        kernel_ns=max(kernels, default=None),
    )


def process_times(run: TimingRun) -> ProcessTimes:
    """One process as the rules of ranges see it."""
    return ProcessTimes(run.values_ns, run.windows)


def chosen(runs: Sequence[TimingRun]) -> tuple[TimingRun, ...]:
    """The runs, with those marked that count: who broke a condition does not, where others kept them all."""
    ranks = [RANKS[run.verdict.trust] for run in runs]
    return tuple(replace(run, chosen=rank == min(ranks)) for run, rank in zip(runs, ranks, strict=True))
