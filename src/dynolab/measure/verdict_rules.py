"""The rules behind verdicts: each turns readings into a sign, a value that grows with the disturbance.

A sign carries the most that is allowed and a sentence for the reader. Nothing here reads the system, and no rule gives a
smaller value for more disturbance.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

from dynolab.spec.measurements import Witnesses
from dynolab.spec.show import show_time

INTEGER_KEY = "reference_kernel.integer_ns"
INTEGER_WORST_KEY = "reference_kernel.integer_worst_ns"
COPY_KEY = "reference_kernel.copy_ns"
CORES_KEY = "neighbours.cores"

OTHERS_CORES_ALLOWED = 0.10
"""CPUs that others may use on a small machine: background services of an idle Linux stay below it, while one busy
process on the other core of two, with which we share last-level cache and memory, uses 1.0."""
OTHERS_SHARE_ALLOWED = 0.05
"""The same as a share of all cores, which is the larger of the two from three cores on."""
TICKS_UNSURE = 2.0
"""Ticks that a reading of /proc/stat may be off over a window: one at each end (proc_stat(5); kernel: kcpustat)."""
SHORT_WINDOW_SHARE = 0.5
"""A window of which the ticks leave at least this share open needs the word of its edges: who was running there."""
NONE_ALLOWED = 0.5
"""For what comes in whole numbers and should not be there at all."""
RUN_QUEUE_SHARE_ALLOWED = 0.05
"""Waiting for a CPU, summed over the threads, as a share of the pass; or ``RUN_QUEUE_SHARE_PER_THREAD`` x cores."""
RUN_QUEUE_SHARE_PER_THREAD = 0.01
"""Kernel threads and interrupts' aftermath keep each thread waiting a little, also on an idle machine."""
PREEMPTIONS_PER_S_ALLOWED = 50.0
"""Per thread. A competitor on the same CPU takes turns of 3-4 ms (EEVDF's base slice), which is 125 per second and more."""
PREEMPTIONS_UNSURE = 5.0
"""Preemptions that may happen in any window, however short."""
STEAL_SHARE_ALLOWED = 0.05
"""Of the pass: what is stolen from a core is gone for whole milliseconds; below it most iterations see none."""
CPU_STALL_SHARE_ALLOWED = 0.05
"""PSI cpu ``some``, used only where neither run-queue delay nor others' CPU time can be had."""
QUOTA_SHARE_ALLOWED = 0.05
"""Periods of a CPU quota in which it was used up: below it next to all iterations see none of it."""
QUOTA_SHARE_INVALID = 0.5
"""From here on the figure is the quota's: the process was stopped in every second period and more."""
MEMORY_STALL_SHARE_ALLOWED = 0.01
"""PSI memory ``some``: any reclaim at all changes what is resident, and stalls whoever needs a page."""
INTEGER_SLOWDOWN_ALLOWED = 1.05
"""Reference kernel over the best seen on this device, at the worse edge: see :func:`_integer`."""
PARALLEL_FROM = 1.1
"""Threads that ran or waited to, on average, from which a pass counts as parallel."""
COPY_SLOWDOWN_ALLOWED = 1.20
"""Memory copy over the best seen on this device, at the better edge: see :func:`_copy`."""
CLOCK_DROP_ALLOWED = 0.10
"""Fall of the fastest CPU's frequency from before to after; turbo steps of one or two bins (100 MHz) stay below it."""
SWAP_PAGES_ALLOWED = 256.0
"""Pages moved to or from swap by the whole system: 1 MiB of 4 KiB pages, a trickle on systems with zram."""
READ_BYTES_ALLOWED = float(1 << 20)
"""From the disk, in a pass that should find all in memory: a stray page of a library, but no weights."""


SCORE_MOST = 20.0


@dataclass(frozen=True, slots=True)
class Sign:
    """One rule's finding: ``value`` is what the reader sees; the excess over ``neutral`` is what is compared."""

    name: str
    value: float
    allowed: float
    reason: str
    neutral: float = 0.0
    weight: float | None = None
    """The value that counts for the disturbance score where it is not ``value``."""
    broken_from: float | None = None
    """The value from which this is no disturbance but a condition that does not hold: the pass is invalid."""

    @property
    def broken(self) -> bool:
        return self.broken_from is not None and self.value >= self.broken_from

    @property
    def over(self) -> bool:
        return self.value > self.allowed

    @property
    def score(self) -> float:
        """0: nothing; 1: at the allowance; never above ``SCORE_MOST``, so that one sign cannot hide all others."""
        value = self.value if self.weight is None else self.weight
        return min(SCORE_MOST, max(0.0, value - self.neutral) / (self.allowed - self.neutral))


@dataclass(frozen=True, slots=True)
class Pass:
    """A pass as the rules see it."""

    witnesses: Witnesses
    cores: int = 1
    best: Mapping[str, float] = field(default_factory=dict)
    warm: bool = False

    def grown(self, key: str) -> float | None:
        return self.witnesses.grown.get(key)

    def edges(self, key: str) -> tuple[float, float] | None:
        """A gauge before and after; None unless both are known."""
        before, after = self.witnesses.before.get(key), self.witnesses.after.get(key)
        return None if before is None or after is None else (before, after)


Rule = Callable[[Pass], Iterator[Sign]]


def apart(value: float, allowed: float, places: int = 2) -> tuple[str, str]:
    """Both figures, with more digits where they would read the same and are not."""
    while places < 9 and value != allowed and f"{value:.{places}f}" == f"{allowed:.{places}f}":
        places += 1
    return f"{value:.{places}f}", f"{allowed:.{places}f}"


def percent(value: float, allowed: float) -> tuple[str, str]:
    """Both shares in percent, told apart: ``10.7 %`` and ``5 %``."""
    seen, limit = apart(100 * value, 100 * allowed, 1)
    return f"{seen} %", f"{limit.rstrip('0').rstrip('.') if '.' in limit else limit} %"


def _others(seen: Pass) -> Iterator[Sign]:
    """CPU time of others, less what the ticks leave open; in a window of a few ticks, who was runnable at its edges."""
    window = _others_window(seen)
    if window is None:
        return
    others_ns, unsure_ns, window_ns = window
    cores = max(0.0, others_ns - unsure_ns) / window_ns
    allowed = max(OTHERS_CORES_ALLOWED, OTHERS_SHARE_ALLOWED * seen.cores)
    used, limit = apart(cores, allowed)
    said = f"others used {used} of {seen.cores} cores (allowed {limit})"
    yield Sign("others_cores", cores, allowed, said)


def _others_window(seen: Pass) -> tuple[float, float, float] | None:
    """CPU time of others, how far it may be off, and the length of the window, all in ns."""
    others_ns, window_ns = seen.grown("neighbours.others_cpu_ns"), seen.grown("neighbours.at_ns")
    if others_ns is None or not window_ns:
        return None
    return others_ns, TICKS_UNSURE * seen.witnesses.before.get("neighbours.tick_ns", 1e7), window_ns


def _runnable(seen: Pass) -> Iterator[Sign]:
    """Somebody else was running at both edges of a pass that is too short for ticks to tell."""
    window, edges = _others_window(seen), seen.edges("neighbours.runnable_others")
    if window is None or edges is None:
        return
    _, unsure_ns, window_ns = window
    told = unsure_ns / window_ns < SHORT_WINDOW_SHARE
    value = 0.0 if told else min(edges)
    reason = f"threads of others that ran both just before and just after the pass: {value:.0f} (allowed 0)"
    yield Sign("runnable_others", value, NONE_ALLOWED, reason, weight=0.0 if told else sum(edges) / 4)


def _run_queue(seen: Pass) -> Iterator[Sign]:
    """Waiting for a CPU that others had.

    Threads of one process also wait for each other where it has more of them than cores. That is the program's own cost,
    not a disturbance: so no more counts than others can have caused, each nanosecond of theirs keeping all threads.
    """
    delay_ns = seen.grown("run_queue.delay_ns")
    if delay_ns is None:
        return
    window = _others_window(seen)
    if window is not None:
        others_ns, unsure_ns, _ = window
        delay_ns = min(delay_ns, seen.cores * (others_ns + unsure_ns))
    share = delay_ns / seen.witnesses.wall_ns
    allowed = max(RUN_QUEUE_SHARE_ALLOWED, RUN_QUEUE_SHARE_PER_THREAD * seen.cores)
    told, limit = percent(share, allowed)
    said = f"threads waited for a CPU for {show_time(delay_ns)}, {told} of the pass (allowed {limit})"
    yield Sign("run_queue_share", share, allowed, said)


def _preemptions(seen: Pass) -> Iterator[Sign]:
    """Involuntary context switches; they are the program's own doing where others used next to no CPU time."""
    count = seen.grown("context_switches.involuntary")
    if count is None:
        return
    others = list(_others(seen))
    ours = bool(others) and not others[0].over
    seconds = seen.witnesses.wall_ns / 1e9
    per_s = 0.0 if ours else max(0.0, count - PREEMPTIONS_UNSURE) / seconds
    allowed = PREEMPTIONS_PER_S_ALLOWED * seen.cores
    told, limit = apart(per_s, allowed, 0)
    said = f"threads were preempted {told} times a second (allowed {limit})"
    yield Sign("preemptions_per_s", per_s, allowed, said)


def _steal(seen: Pass) -> Iterator[Sign]:
    """Time that the hypervisor took, less the one tick that is open."""
    stolen_ns = seen.grown("steal.stolen_ns")
    if stolen_ns is None:
        return
    tick_ns = seen.witnesses.before.get("neighbours.tick_ns", 1e7)
    share = max(0.0, stolen_ns - tick_ns) / seen.witnesses.wall_ns
    told, limit = percent(share, STEAL_SHARE_ALLOWED)
    said = f"the hypervisor took {told} of the pass for others (allowed {limit})"
    yield Sign("steal_share", share, STEAL_SHARE_ALLOWED, said)


def _cpu_stall(seen: Pass) -> Iterator[Sign]:
    """Pressure on the CPUs: a stand-in, since it also counts our own threads' waiting for each other."""
    stalled_us = seen.grown("pressure.cpu_some_us")
    if stalled_us is None or "run_queue.delay_ns" in seen.witnesses.grown or _others_window(seen) is not None:
        return
    share = stalled_us * 1e3 / seen.witnesses.wall_ns
    told, limit = percent(share, CPU_STALL_SHARE_ALLOWED)
    said = f"tasks waited for a CPU for {told} of the pass (allowed {limit})"
    yield Sign("cpu_stall_share", share, CPU_STALL_SHARE_ALLOWED, said)


def _memory_stall(seen: Pass) -> Iterator[Sign]:
    """Pressure on memory."""
    stalled_us = seen.grown("pressure.memory_some_us")
    if stalled_us is None:
        return
    share = stalled_us * 1e3 / seen.witnesses.wall_ns
    told, limit = percent(share, MEMORY_STALL_SHARE_ALLOWED)
    said = f"tasks waited for memory for {told} of the pass (allowed {limit})"
    yield Sign("memory_stall_share", share, MEMORY_STALL_SHARE_ALLOWED, said)


def _integer(seen: Pass) -> Iterator[Sign]:
    """The integer kernel on this thread's CPU at the worse edge, and on the slowest CPU.

    Its times come in two kinds: within a few percent of the best, or, with a busy sibling hyper-thread or a lower clock,
    half as long again and more. Such spells last from milliseconds to seconds, so one bad edge may stand for most of a
    pass. For a pass of one thread another CPU counts at its better edge only: slow at both, it tells of a busy package.
    """
    rules = ((INTEGER_KEY, max), (INTEGER_WORST_KEY, max if _is_parallel(seen) else min))
    for key, edge in rules:
        yield from _slowdown(seen, key, edge, "integer_slowdown", "the integer kernel", INTEGER_SLOWDOWN_ALLOWED)


def _is_parallel(seen: Pass) -> bool:
    """Whether more than one thread ran or wanted to, on the average of the pass; taken for granted where nothing tells."""
    wanted = [seen.grown(key) for key in ("run_queue.on_cpu_ns", "run_queue.delay_ns")]
    known = [value for value in wanted if value is not None]
    return not known or sum(known) > PARALLEL_FROM * seen.witnesses.wall_ns


def _copy(seen: Pass) -> Iterator[Sign]:
    """The memory copy, at the better of both edges: its times spread more, since others' memory traffic comes in bursts."""
    yield from _slowdown(seen, COPY_KEY, min, "copy_slowdown", "the memory copy", COPY_SLOWDOWN_ALLOWED)


def _slowdown(
    seen: Pass, key: str, edge: Callable[[tuple[float, float]], float], name: str, what: str, allowed: float
) -> Iterator[Sign]:
    edges, best_ns = seen.edges(key), seen.best.get(key)
    if edges is None or not best_ns:
        return
    ratio = edge(edges) / best_ns
    where = "before or after" if edge is max else "before and after"
    told, limit = apart(ratio, allowed)
    said = f"{what} took {told} x its best time on this device, {where} the pass (allowed {limit} x)"
    yield Sign(name, ratio, allowed, said, neutral=1.0, weight=sum(edges) / 2 / best_ns)


def _clock_drop(seen: Pass) -> Iterator[Sign]:
    """Fall of the fastest CPU's clock. A rise is the governor waking up: the minimum is from after it."""
    edges = seen.edges("clock.max_hz")
    if edges is None or edges[0] <= 0:
        return
    drop = max(0.0, 1 - edges[1] / edges[0])
    told, limit = percent(drop, CLOCK_DROP_ALLOWED)
    said = f"the clock fell from {edges[0] / 1e9:.2f} to {edges[1] / 1e9:.2f} GHz, by {told} (allowed {limit})"
    yield Sign("clock_drop_share", drop, CLOCK_DROP_ALLOWED, said)


def _throttled(seen: Pass) -> Iterator[Sign]:
    """Thermal throttle events in the pass: none is allowed."""
    events = seen.grown("thermal.throttle_events")
    if events is not None:
        yield Sign(
            "throttle_events",
            events,
            NONE_ALLOWED,
            f"throttle events of the CPU in the pass: {events:.0f} (allowed 0)",
        )


def _cooling(seen: Pass) -> Iterator[Sign]:
    """Cooling devices that slow the device down at either edge."""
    yield from _held_back(seen, "thermal.cooling_state", "the kernel")


def _firmware(seen: Pass) -> Iterator[Sign]:
    """The firmware of a Raspberry Pi that slows it down at either edge, for heat or for want of power."""
    yield from _held_back(seen, "thermal.firmware_throttled", "the firmware")


def _held_back(seen: Pass, key: str, who: str) -> Iterator[Sign]:
    edges, celsius = seen.edges(key), seen.edges("thermal.max_celsius")
    if edges is not None:
        heat = f" at {max(celsius):.0f} °C" if celsius else ""
        said = f"{who} held the device's clock back{heat} (state {max(edges):.0f}, allowed 0)"
        yield Sign(key.partition(".")[2], max(edges), NONE_ALLOWED, said)


def _quota(seen: Pass) -> Iterator[Sign]:
    """Periods in which a CPU quota stopped the process."""
    periods, stopped = seen.grown("cpu_quota.periods"), seen.grown("cpu_quota.throttled_periods")
    if periods is None or stopped is None:
        return
    share = stopped / max(1.0, periods)
    _, limit = percent(share, QUOTA_SHARE_ALLOWED)
    said = f"a CPU quota stopped the process in {stopped:.0f} of {periods:.0f} periods (allowed {limit})"
    yield Sign("quota_share", share, QUOTA_SHARE_ALLOWED, said, broken_from=QUOTA_SHARE_INVALID)


def _swap(seen: Pass) -> Iterator[Sign]:
    """Memory of ours in swap at either edge."""
    edges = seen.edges("swap.own_bytes")
    if edges is not None:
        said = f"{max(edges) / 1e6:.1f} MB of the worker's memory were in swap (allowed 0)"
        yield Sign("swap_bytes", max(edges), NONE_ALLOWED, said)


def _swap_traffic(seen: Pass) -> Iterator[Sign]:
    """Pages that the system moved to and from swap."""
    pages_in, pages_out = seen.grown("swap.pages_in"), seen.grown("swap.pages_out")
    if pages_in is not None and pages_out is not None:
        moved = pages_in + pages_out
        said = f"the system moved {moved:.0f} pages to or from swap (allowed {SWAP_PAGES_ALLOWED:.0f})"
        yield Sign("swap_pages", moved, SWAP_PAGES_ALLOWED, said)


def _disk(seen: Pass) -> Iterator[Sign]:
    """What came from the disk in a pass that should find everything in memory."""
    read = [seen.grown(key) for key in ("faults.read_bytes", "faults.block_input_bytes")]
    known = [value for value in read if value is not None]
    if known and seen.warm:
        told, limit = apart(max(known) / 1e6, READ_BYTES_ALLOWED / 1e6, 1)
        said = f"{told} MB came from the disk (allowed {limit} MB)"
        yield Sign("disk_read_bytes", max(known), READ_BYTES_ALLOWED, said)


MEMORY_RULES: Mapping[str, Rule] = {
    "swap_bytes": _swap,
    "swap_pages": _swap_traffic,
    "memory_stall_share": _memory_stall,
}
TIMING_RULES: Mapping[str, Rule] = {
    "others_cores": _others,
    "runnable_others": _runnable,
    "run_queue_share": _run_queue,
    "preemptions_per_s": _preemptions,
    "steal_share": _steal,
    "cpu_stall_share": _cpu_stall,
    "integer_slowdown": _integer,
    "copy_slowdown": _copy,
    "clock_drop_share": _clock_drop,
    "throttle_events": _throttled,
    "cooling_state": _cooling,
    "firmware_throttled": _firmware,
    "quota_share": _quota,
    "disk_read_bytes": _disk,
    **MEMORY_RULES,
}
CPU_WITNESSES = ("others_cores", "run_queue_share", "cpu_stall_share", "integer_slowdown")
