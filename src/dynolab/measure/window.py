"""What stands around a stage in the worker: edges and witnesses, and room for the loop's durations."""

from __future__ import annotations

import gc
import mmap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dynolab.measure import memory_readings, witnesses
from dynolab.measure.memory_readings import Software
from dynolab.measure.protocol import Measure
from dynolab.measure.warmup import WARMUP_MAX
from dynolab.spec.measurements import MemoryEdge, Witnesses


class Edges:
    """Memory at a stage's start, at its end, and when temporaries are given back; ``apart``: software, told apart."""

    def __init__(self, apart: Software) -> None:
        self._apart = apart
        self.seen: list[MemoryEdge] = []

    def open(self) -> None:
        """The start: collected, trimmed, the high-water mark reset."""
        memory_readings.read_edge(apart=self._apart)  # brings in its own code and buffers: they are not the stage's
        memory_readings.release()
        gc.freeze()  # a collection writes into all objects that it knows: pages shared with a fork would then be copied
        self._read()
        memory_readings.reset_high_water()

    def end(self) -> None:
        """The end, with all temporaries."""
        self._read()

    def release(self) -> None:
        """After it, without them."""
        memory_readings.release()
        self._read()

    def _read(self) -> None:
        self.seen.append(memory_readings.read_edge(apart=self._apart))


class Window:
    """What is read around one stage: its start, its end, and what it leaves when temporaries are given back."""

    def __init__(self, measure: Measure, readings: Sequence[str], apart: Software) -> None:
        self._measure = measure
        self._memory = Edges(apart)
        self._readings = tuple(readings)
        self.witnesses: Witnesses | None = None
        self._before: Any = None

    @property
    def edges(self) -> tuple[MemoryEdge, ...]:
        """Memory pass: start, end, released."""
        return tuple(self._memory.seen)

    def open(self) -> None:
        """Start of the stage: collected, trimmed, the high-water mark reset."""
        memory_readings.release()
        if self._measure is Measure.TIME:
            gc.freeze()
            gc.disable()
        self._before = witnesses.snapshot(self._readings)
        if self._measure is Measure.MEMORY:
            self._memory.open()

    def close(self) -> None:
        """End of the stage."""
        if self._measure is Measure.MEMORY:
            self._memory.end()
            self.witnesses = self._between()
            self._memory.release()
        else:
            self.witnesses = self._between()
            gc.enable()

    def _between(self) -> Witnesses:
        return witnesses.between(self._before, witnesses.snapshot(self._readings, closing=True))


class Durations:
    """Room for the loop's durations, in a file that others may look into, and for the warm-up's."""

    def __init__(self, path: Path, count: int) -> None:
        self._path, self._count = path, count

    def __enter__(self) -> tuple[memoryview, memoryview]:
        size = self._count * 8
        with self._path.open("w+b") as file:
            file.truncate(size)
            self._map = mmap.mmap(file.fileno(), size)
        for offset in range(0, size, mmap.PAGESIZE):
            self._map[offset] = 0  # every page is there before the loop begins
        self._view = memoryview(self._map)
        self._cast = self._view.cast("q")
        return self._cast, memoryview(bytearray(WARMUP_MAX * 8)).cast("q")

    def __exit__(self, *_: object) -> None:
        self._cast.release()
        self._view.release()
        self._map.close()
