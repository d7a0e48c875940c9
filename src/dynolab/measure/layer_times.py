"""From the iterations of a layer pass to one time for each layer: medians of calm ones, fastest times, spreads. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from dynolab.measure.protocol import LayerPass
from dynolab.spec.layer_names import lasting_name
from dynolab.spec.measurements import Layer

if TYPE_CHECKING:
    from dynolab.runtimes.base import LayerRecording

CALM_ENOUGH = 5
"""Calm iterations from which their median is a layer's time: one of two that only look calm would else be all of it."""

Key = tuple[str, str, int]
"""Name and type of a layer, and how many of these came before it in its iteration."""


def over_iterations(iterations: Sequence[Sequence[Layer]], calm: Sequence[bool]) -> tuple[Layer, ...]:
    """Every layer of any iteration, in the order of their first run: its time, its fastest time and its spread.

    ``calm`` tells for each iteration whether nothing disturbed it. The time is the median of the calm ones. Where too few are, it is the
    fastest of all: a scheduler takes the CPU away at the same layer in most iterations, so there a median makes hot spots
    (docs/benchmarks.md, layers beside a CPU hog). The spread is of what the time is of; the fastest is that of all. Parallel kernels come in another order from run to run: layers are matched by
    name and type. One that an iteration did not run took 0 in it.
    """
    layers, times = _gathered(iterations)
    decide = are_enough(calm)
    used = [at for at, is_calm in enumerate(calm) if is_calm or not decide]
    return tuple(_layer(layers[key], row, [row[at] for at in used], is_calm=decide) for key, row in times.items())


def are_enough(calm: Sequence[bool]) -> bool:
    """Whether calm iterations alone decide: there are enough of them, or no others."""
    return sum(calm) >= CALM_ENOUGH or all(calm)


def _gathered(iterations: Sequence[Sequence[Layer]]) -> tuple[dict[Key, Layer], dict[Key, list[int]]]:
    """Each layer as it was first seen, and its times in ns, one for each iteration."""
    layers: dict[Key, Layer] = {}
    times: dict[Key, list[int]] = {}
    for at, found in enumerate(iterations):
        for key, layer in _keyed(found):
            layers.setdefault(key, layer)
            times.setdefault(key, [0] * len(iterations))[at] = layer.time_ns
    return layers, times


def _keyed(layers: Sequence[Layer]) -> Iterator[tuple[Key, Layer]]:
    seen: dict[tuple[str, str], int] = {}
    for layer in layers:
        named = lasting_name(layer.name, layer.type), layer.type  # tries without an artifact optimise anew
        count = seen.get(named, 0)
        seen[named] = count + 1
        yield (*named, count), layer


def _layer(layer: Layer, times: Sequence[int], used: Sequence[int], *, is_calm: bool) -> Layer:
    ordered = sorted(used)
    time_ns = _median(ordered) if is_calm else ordered[0]
    return replace(layer, time_ns=time_ns, lower_ns=min(times), p10_ns=_rank(ordered, 10), p90_ns=_rank(ordered, 90))


def _median(ordered: Sequence[int]) -> int:
    """As ``spec.stats.median``, which a worker need not import."""
    middle = len(ordered) // 2
    return ordered[middle] if len(ordered) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


def _rank(ordered: Sequence[int], percent: int) -> int:
    """The nearest rank: a time that was measured."""
    return ordered[max(1, -(-percent * len(ordered) // 100)) - 1]


def summed_up(recording: LayerRecording, calm: Sequence[bool | None]) -> LayerPass:
    """What one pass tells. ``calm`` is None for an iteration that was warm-up: it is left out, as one without layers is.

    An iteration that nobody watched counts as disturbed.
    """
    overlaps = recording.overlaps_ns or [0] * len(recording.iterations)
    watched = [*calm, *[False] * len(recording.iterations)]
    seen = zip(recording.iterations, watched, overlaps, strict=False)
    kept = [(row, is_calm, shared) for row, is_calm, shared in seen if row and is_calm is not None]
    if not kept:
        return LayerPass(reason="the runtime recorded no layer", resolution_ns=recording.resolution_ns)
    rows, calms, shared = zip(*kept, strict=True)
    _, times = _gathered(rows)
    return LayerPass(
        layers=over_iterations(rows, calms),
        iterations=len(rows),
        resolution_ns=recording.resolution_ns,
        note=recording.note,
        times_ns=tuple(zip(*times.values(), strict=True)),
        calm=calms,
        overlaps_ns=shared if any(shared) else (),
    )


def together(passes: Sequence[LayerPass]) -> LayerPass:
    """Several passes over the same model as one of all their iterations; all else is the last one's."""
    if len(passes) == 1:
        return passes[0]
    rows = [
        [replace(layer, time_ns=time) for layer, time in zip(each.layers, times, strict=True)]
        for each in passes
        for times in each.times_ns
    ]
    calm = tuple(is_calm for each in passes for is_calm in each.calm)
    _, times = _gathered(rows)
    return replace(
        passes[-1],
        layers=over_iterations(rows, calm),
        iterations=len(rows),
        times_ns=tuple(zip(*times.values(), strict=True)),
        calm=calm,
        overlaps_ns=tuple(one for each in passes for one in each.overlaps_ns or [0] * each.iterations),
    )


def overlap(found: LayerPass) -> int:
    """The median over the iterations of what their layers count more than once, in ns."""
    return _median(sorted(found.overlaps_ns)) if found.overlaps_ns else 0
