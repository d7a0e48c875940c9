"""From readings of memory to ranges: the arithmetic of measuring.md section 3."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from dynolab.spec.measurements import MemoryEdge, Range


def claimed(edge: MemoryEdge) -> int:
    """What only swap could take: anonymous and shared memory, and what is swapped out already."""
    return edge.anonymous_bytes + edge.shared_bytes + edge.swap_bytes


def ranges(
    start: MemoryEdge,
    end: MemoryEdge,
    released: MemoryEdge,
    samples: Sequence[MemoryEdge],
    *,
    with_libraries: bool = False,
) -> tuple[Range, Range]:
    """Raw peak and increase of one stage, in bytes over its start; an end may be negative.

    ``end`` is read before temporaries are released, ``released`` after; ``VmHWM`` was reset at ``start``. Pages of the
    runtime's own libraries that the stage brought in are no part of it, unless ``with_libraries``. By construction
    lower <= upper and increase <= peak at both ends, whatever the readings say.
    """
    edges = [start, end, released]
    library = 0 if with_libraries else end.library_bytes - start.library_bytes
    # Those that were there at the peak: never more than at either edge after it.
    library_at_peak = 0 if with_libraries else max(0, min(library, released.library_bytes - start.library_bytes))
    base = start.resident_bytes + start.swap_bytes
    high_water = end.high_water_bytes + end.swap_bytes
    increase_lower = claimed(released) - claimed(start)
    increase_upper = max(end.resident_bytes + end.swap_bytes - library - base, increase_lower)
    # Pages given back with MADV_FREE are resident until the system wants them: high water and samples count them.
    lazy = max(start.lazy_free_bytes, end.lazy_free_bytes)
    seen = [claimed(edge) for edge in edges] + [claimed(edge) - lazy for edge in samples]
    peak_lower = max(*seen, high_water - largest_file_bytes([*edges, *samples]) - lazy) - claimed(start)
    tree = max((edge.resident_bytes + edge.swap_bytes for edge in samples), default=0)
    peak_upper = max(max(high_water, tree) - library_at_peak - base, increase_upper, peak_lower)
    return Range(peak_lower, peak_upper), Range(increase_lower, increase_upper)


def largest_file_bytes(edges: Iterable[MemoryEdge]) -> int:
    """The largest file-backed resident size seen."""
    return max(edge.file_bytes for edge in edges)


def within(samples: Sequence[MemoryEdge], start: MemoryEdge, end: MemoryEdge) -> list[MemoryEdge]:
    """The samples taken inside a stage, by their monotonic time stamps."""
    return [edge for edge in samples if start.at_ns <= edge.at_ns <= end.at_ns]
