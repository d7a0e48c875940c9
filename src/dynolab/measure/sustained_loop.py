"""The sustained loop in the worker: windows of iterations without a pause, with what was read in each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from dynolab.measure import window_witnesses, witnesses
from dynolab.measure.clock import loop, now_ns
from dynolab.measure.window_witnesses import WindowWitnesses
from dynolab.measure.witnesses import Snapshot
from dynolab.spec.measurements import LoopWindow, SustainedWindow

SLICE_NS = 100_000_000
"""Between two looks at the reference kernel: each takes 0.5 ms, in which the device rests."""
ROOM = 1 << 18
"""Iterations of one window at most: what a model of microseconds does beyond them is another window's."""
READINGS = ("clock", "neighbours", "nvidia", "steal", "thermal")
"""Read at each window's end, 1 to 2 ms altogether."""
_HELD_BACK = (
    "thermal.cooling_state",
    "thermal.firmware_throttled",
    "nvidia.heat",
    "nvidia.power_brake",
    "nvidia.power_cap",
)


@dataclass(frozen=True, slots=True)
class SustainedLength:
    """How long the run is, and each of its windows; ns."""

    length_ns: int
    window_ns: int


def sustained_loop(
    run: Callable[[], object],
    length: SustainedLength,
    expected_ns: int,
    readings: Sequence[str],
    tell: Callable[[int, int], object],
) -> tuple[list[SustainedWindow], dict[str, str]]:
    """Infer for so long; the windows, and why readings are not to be had. An inference that has begun ends.

    ``tell`` is given the number of each window that is over, and its median in ns.
    """
    durations = memoryview(bytearray(ROOM * 8)).cast("q")
    names = tuple(name for name in READINGS if name in readings)
    seen, windows = WindowWitnesses(), []
    begun_ns, threads = now_ns(), 1
    try:
        before = witnesses.snapshot(names)
        while (at_ns := now_ns() - begun_ns) < length.length_ns:
            ends_ns = begun_ns + min(length.length_ns, at_ns + length.window_ns)
            slices = _slices(run, durations, seen, ends_ns, expected_ns, threads)
            after = witnesses.snapshot(names, closing=True)
            values = np.frombuffer(durations, np.int64, sum(one.count for one in slices))
            windows.append(_window(at_ns, now_ns() - begun_ns - at_ns, values, slices, witnesses_of(before, after)))
            threads = max(threads, *(one.threads for one in slices))
            expected_ns, before = windows[-1].median_ns, after
            tell(len(windows) - 1, expected_ns)
    finally:
        seen.close()
    return windows, before.unavailable


def _slices(
    run: Callable[[], object],
    durations: memoryview,
    seen: WindowWitnesses,
    ends_ns: int,
    expected_ns: int,
    threads: int,
) -> list[LoopWindow]:
    """Slices until a window's end: one iteration at least, and no more than there is room for."""
    found: list[LoopWindow] = []
    done, before = 0, seen.read(threads)
    while done < ROOM and (not found or now_ns() < ends_ns):
        count = max(1, min(round(SLICE_NS / max(1, expected_ns)), ROOM - done))
        made = loop(run, durations[done:], count, ends_ns)
        after = seen.read(threads)
        found.append(window_witnesses.between(before, after, made, None))
        before, done = after, done + made
    return found


def witnesses_of(before: Snapshot, after: Snapshot) -> dict[str, float]:
    """Gauges after a window, and how much counters grew in it, by reading and field."""
    seen = witnesses.between(before, after)
    return {**seen.after, **seen.grown}


def _window(
    at_ns: int,
    wall_ns: int,
    values: np.ndarray[tuple[int], np.dtype[np.int64]],
    slices: Sequence[LoopWindow],
    read: Mapping[str, float],
) -> SustainedWindow:
    """One window of its slices and of what was read at its end."""
    kernels = sorted(one.kernel_ns for one in slices if one.kernel_ns)
    held = [read[key] for key in _HELD_BACK if key in read]
    celsius = [read[key] for key in ("thermal.max_celsius", "nvidia.max_celsius") if key in read]
    return SustainedWindow(
        at_ns=at_ns,
        wall_ns=wall_ns,
        count=len(values),
        minimum_ns=int(values.min()),
        median_ns=int(np.partition(values, len(values) // 2)[len(values) // 2]),
        delay_ns=_sum([one.delay_ns for one in slices]),
        throttled_ns=_sum([one.throttled_ns for one in slices]),
        stolen_ns=_whole(read.get("steal.stolen_ns")),
        others_ns=_whole(read.get("neighbours.others_cpu_ns")),
        kernel_ns=kernels[len(kernels) // 2] if kernels else None,
        kernel_threads=slices[-1].kernel_threads,
        core=slices[-1].core,
        clock_hz=read.get("clock.max_hz"),
        celsius=max(celsius, default=None),
        held_back=sum(held) if held else None,
        throttle_events=_whole(read.get("thermal.throttle_events")),
    )


def _sum(values: Sequence[int | None]) -> int | None:
    """Of all; None where one is not known."""
    known = [one for one in values if one is not None]
    return sum(known) if len(known) == len(values) else None


def _whole(value: float | None) -> int | None:
    return None if value is None else int(value)
