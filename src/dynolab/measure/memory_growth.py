"""Growth of memory over many iterations, read in the memory pass of the inference after its window is closed."""

from __future__ import annotations

from collections.abc import Callable

from dynolab.measure import memory_readings
from dynolab.measure.clock import loop
from dynolab.measure.memory import claimed

QUARTERS = 4


def held_over(run: Callable[[], object], iterations: int, deadline_ns: int) -> tuple[int, ...]:
    """What only swap could take after each quarter of the iterations, in bytes; fewer values when time is up.

    Garbage is collected and free heap given back before each reading, so that what is held is what cannot be freed.
    """
    count = iterations // QUARTERS
    durations, found = memoryview(bytearray(8 * count)).cast("q"), list[int]()
    for _ in range(QUARTERS if count else 0):
        if loop(run, durations, count, deadline_ns) < count:
            break
        memory_readings.release()
        found.append(claimed(memory_readings.read_edge()))
    return tuple(found)
