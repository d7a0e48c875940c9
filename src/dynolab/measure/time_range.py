"""Between which values a time lies that nothing disturbs, from what was measured and from its witnesses. Pure.

The upper end is the smallest time seen: noise only adds. The lower end is the smallest that it could have been
(measuring.md section 3). Standard library only: the worker asks too, to know when a loop may end.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from dynolab.spec.measurements import LoopWindow

LEAST_WIDTH = 0.02
"""No range is narrower: undisturbed processes of the same model differ by about this, by where their memory lies."""
SHARED_WIDTH = 0.08
"""The same on a virtual machine or in a container: who else is on the host takes of caches and memory that no witness here sees,
and calm campaigns of the same model differ by up to 7 % from minute to minute (tests/benchmarks/coverage.py)."""
GAP_TIMES = 1.0
"""The gap between the two best processes, so many times, is how far below the best one a better one may lie."""
ALONE_WIDTH = 0.20
"""Where fewer than two processes were calm: nobody has confirmed what the best one shows."""
CALM_SLOWDOWN = 1.05
"""Reference kernel over its best from which a window is disturbed. Its times come in two kinds: within a few percent of the
best, or, with a busy neighbour on the same core or a lower clock, a quarter longer and more."""
SLOWDOWN_TIMES = 1.5
"""What slows the reference kernel by some share may slow a model by so many times that: two busy threads on one core take more
from each other's vector units and caches than from the kernel's."""
CALM_DELAY_SHARE = 0.005
"""Of a window, waiting for a CPU, above which it is disturbed: interrupts and kernel threads of an idle machine stay below."""
REFERENCE_PERCENTILE = 0.05
"""Of the kernel's times in one campaign: the single fastest of thousands is luck, and no window would be calm beside it."""
CALM_WINDOWS = 5
"""A process has shown what it can once it had so many calm windows, of which the fastest two agree."""
AGREED = 0.01


@dataclass(frozen=True, slots=True)
class ProcessTimes:
    """The times of one process in ns, in order, and its windows; a load or a compilation is one window of one value."""

    values_ns: Sequence[int]
    windows: Sequence[LoopWindow]


@dataclass(frozen=True, slots=True)
class TimeRange:
    """The range in ns, and what made it as wide as it is."""

    lower_ns: int
    upper_ns: int
    calm_windows: int
    windows: int
    slowdown: float
    """Of the window that gave the lower end; 1: as fast as the device ever is."""
    delay_share: float
    """Waiting for a CPU as a share of all windows' time."""
    calm_processes: int
    """Whose fastest iteration lay in a calm window."""
    gap: float | None
    """Between the minima of the two best calm processes, as a share of the best; None where fewer than two were calm."""

    @property
    def width(self) -> float:
        """The ends' difference as a share of the upper one."""
        return (self.upper_ns - self.lower_ns) / max(1, self.upper_ns)


def reference_name(threads: int, core: str = "") -> str:
    """Under which name the reference kernel's best is kept: on as many threads at once, and for one type of core."""
    beside = f"@{threads}" if threads > 1 else ""
    return f"reference_kernel.integer_ns{beside}{f'/{core}' if core else ''}"


def time_range(processes: Sequence[ProcessTimes], best: Mapping[str, float], *, is_shared: bool = False) -> TimeRange:
    """The range that a stage's processes give, one at least; ``best`` holds the reference kernel's best times.

    The window with the fastest iteration decides, of calm ones where there are any. Its lower end is that iteration without what
    its threads waited for a CPU, as fast as the device ever is; below that, as far as another process might have been faster.
    ``is_shared``: whether the device is a part of a larger machine.
    """
    references = _references(processes, best)
    windows = [[_judged(window, min(values), references) for window, values in _split(one)] for one in processes]
    every = [window for one in windows for window in one]
    calm = [window for window in every if window.calm]
    deciding = _best(calm or every)
    upper_ns = min(min(one.values_ns) for one in processes)
    minima = sorted(min(one.values_ns) for one, judged in zip(processes, windows, strict=True) if _was_calm(judged))
    gap = minima[1] / max(1, minima[0]) - 1 if len(minima) > 1 else None
    spread = ALONE_WIDTH if gap is None else max(SHARED_WIDTH if is_shared else LEAST_WIDTH, GAP_TIMES * gap)
    waited_ns = sum(window.delay_ns or 0 for one in processes for window in one.windows)
    wall_ns = sum(window.wall_ns for one in processes for window in one.windows)
    return TimeRange(
        lower_ns=max(0, int(min(deciding.lower_ns, upper_ns) / (1 + spread))),
        upper_ns=upper_ns,
        calm_windows=len(calm),
        windows=len(every),
        slowdown=deciding.slowdown,
        delay_share=waited_ns / max(1, wall_ns),
        calm_processes=len(minima),
        gap=gap,
    )


def calm_minima(fastest_ns: Sequence[int], windows: Sequence[LoopWindow], best: Mapping[str, float]) -> list[int]:
    """Of the windows of one process that were calm, the fastest iterations in ns, sorted; ``fastest_ns`` holds each window's."""
    references = _references([ProcessTimes((), windows)], best)
    judged = (_judged(window, value, references) for window, value in zip(windows, fastest_ns, strict=True))
    return sorted(one.fastest_ns for one in judged if one.calm)


def settled(calm_ns: Sequence[int]) -> bool:
    """Whether more windows of a process would bring nothing: enough were calm, and the fastest two of them agree."""
    return len(calm_ns) >= CALM_WINDOWS and calm_ns[1] <= (1 + AGREED) * calm_ns[0]


def calm_ones(windows: Sequence[LoopWindow], best: Mapping[str, float]) -> list[bool]:
    """Which of these windows of one process were calm in all of their iterations."""
    references = _references([ProcessTimes((), windows)], best)
    return [_slowdown(window, references) <= CALM_SLOWDOWN and _hardly_waited(window) for window in windows]


@dataclass(frozen=True, slots=True)
class _Judged:
    """One window as the rules see it; times in ns."""

    fastest_ns: int
    lower_ns: float
    slowdown: float
    calm: bool
    """Whether nothing is to be held against its fastest iteration."""


def _judged(window: LoopWindow, fastest_ns: int, references: Mapping[str, float]) -> _Judged:
    slowdown = _slowdown(window, references)
    spared = _was_spared(window)
    alone_ns = fastest_ns if spared else _without_waiting(window, fastest_ns)
    calm = slowdown <= CALM_SLOWDOWN and (spared or _hardly_waited(window))
    undisturbed_ns = alone_ns if slowdown <= CALM_SLOWDOWN else alone_ns / (1 + SLOWDOWN_TIMES * (slowdown - 1))
    return _Judged(fastest_ns, undisturbed_ns, slowdown, calm)


def _was_spared(window: LoopWindow) -> bool:
    """Whether an iteration had no waiting at all: whoever waits gets a turn, and there were fewer turns than iterations.

    Of a model on one thread. With more, iterations may go on without the one that waits, and be slower for it.
    """
    return window.threads == 1 and window.turns is not None and window.turns < window.count


def _without_waiting(window: LoopWindow, fastest_ns: int) -> float:
    """The shortest that a window's fastest iteration can have been, had no thread waited for a CPU; ns."""
    if window.main_cpu_ns is None and window.threads > 1:
        # The fastest of a few may have waited less than the others, or gone on without the thread that waited.
        ran_ns = window.cpu_ns or 0
        return fastest_ns * ran_ns / max(1, ran_ns + _waited_ns(window))
    # Threads that wait one for another wait at the same time, and their sum is more than was lost: but never did they run in less.
    worked_ns = window.main_cpu_ns
    if worked_ns is None:
        worked_ns = (window.cpu_ns or 0) // window.count
    return max(min(worked_ns, fastest_ns), fastest_ns - _waited_ns(window) / window.count)


def _slowdown(window: LoopWindow, references: Mapping[str, float]) -> float:
    reference_ns = references.get(reference_name(window.kernel_threads, window.core))
    return max(1.0, window.kernel_ns / reference_ns) if window.kernel_ns and reference_ns else 1.0


def _waited_ns(window: LoopWindow) -> int:
    """What a CPU quota takes is part of the run-queue delay, where that is known."""
    return max(window.delay_ns or 0, window.throttled_ns or 0)


def _hardly_waited(window: LoopWindow) -> bool:
    return _waited_ns(window) <= CALM_DELAY_SHARE * window.wall_ns


def _split(process: ProcessTimes) -> list[tuple[LoopWindow, Sequence[int]]]:
    """Each window with its iterations."""
    ends = [0]
    for window in process.windows:
        ends.append(ends[-1] + window.count)
    slices = (process.values_ns[first:last] for first, last in pairwise(ends))
    return list(zip(process.windows, slices, strict=True))


def _references(processes: Sequence[ProcessTimes], best: Mapping[str, float]) -> dict[str, float]:
    """The kernel's reference by name: the device's best, or what these processes themselves showed, if that is better."""
    seen: defaultdict[str, list[int]] = defaultdict(list)
    for window in (window for one in processes for window in one.windows):
        if window.kernel_ns:
            seen[reference_name(window.kernel_threads, window.core)].append(window.kernel_ns)
    here = {name: sorted(values)[int(REFERENCE_PERCENTILE * len(values))] for name, values in seen.items()}
    return {name: min(value, best.get(name, value)) for name, value in here.items()}


def _best(windows: Sequence[_Judged]) -> _Judged:
    """The window with the fastest iteration."""
    return min(windows, key=lambda window: (window.fastest_ns, window.lower_ns))


def _was_calm(windows: Sequence[_Judged]) -> bool:
    """Whether a process's fastest iteration, or one as good, was in a calm window: else it was disturbed throughout."""
    fastest_ns = min(window.fastest_ns for window in windows)
    return any(window.calm and window.fastest_ns <= (1 + AGREED) * fastest_ns for window in windows)
