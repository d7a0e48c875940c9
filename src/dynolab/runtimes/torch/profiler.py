"""Layers of a PyTorch model, from PyTorch's profiler: the operators that each iteration calls."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from itertools import chain
from typing import Any

from dynolab.runtimes._spans import Span, overlap
from dynolab.runtimes.base import LayerRecording, Watch, warm_up_layers
from dynolab.runtimes.torch import files
from dynolab.spec.measurements import ComputeUnit, Layer

ITERATION = "dynolab_iteration"
SETTLE_S = 0.05
"""What another thread computed for the model is there before that thread has noted the end of its operator: to end the recording in between crashes
the process (PyTorch 2.13, once in some thousand recordings of a model that forks)."""


def record(run: Callable[[], object], iterations: int, watch: Watch, *, on_gpu: bool, compiled: bool) -> LayerRecording:
    """The outermost operators of each of ``iterations`` runs, their inner ones included in their times.

    Operators that the model starts on other threads (``torch.jit.fork``) are layers of their own. ``compiled``: much of the model is in kernels of AOTInductor's that the profiler does not see; what is left of an
    iteration stands for them, so that the layers add up.
    """
    from torch.profiler import ProfilerActivity, profile, record_function

    def one() -> None:
        with record_function(ITERATION):
            run()

    warm_up_layers(run)  # TorchScript's executor settles in two runs (pytorch.org/docs, torch.jit)
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with files.quiet(), profile(activities=activities) as recording:
        for _ in range(iterations):
            watch(one)
        watch.close()
        time.sleep(SETTLE_S)
    roots = [event for event in recording.events() if event.cpu_parent is None]
    rounds = [(event, _elsewhere(event, roots)) for event in roots if event.name == ITERATION]
    rows = [_layers(event, others, on_gpu=on_gpu, compiled=compiled) for event, others in rounds]
    overlaps = [] if on_gpu else [_overlap(event, others) for event, others in rounds]
    note = _note(on_gpu=on_gpu, compiled=compiled)
    return LayerRecording(rows, resolution_ns=1, note=note, overlaps_ns=overlaps if any(overlaps) else ())


def _elsewhere(iteration: Any, roots: Sequence[Any]) -> list[Any]:
    """What ran on other threads within an iteration: it has no parent."""
    span = iteration.time_range
    return [
        event
        for event in roots
        if event.thread != iteration.thread and span.start <= event.time_range.start <= span.end
    ]


def _layers(iteration: Any, others: Sequence[Any], *, on_gpu: bool, compiled: bool) -> list[Layer]:
    """The layers of one recorded iteration; those of other threads come last."""
    layers = []
    for index, event in enumerate(chain(_operators(iteration), *map(_root, others))):
        spent_us = event.device_time_total if on_gpu else event.cpu_time_total
        if on_gpu and not spent_us:
            continue
        layers.append(
            Layer(
                name=f"{event.name.rpartition('::')[2]}_{index}",
                type=event.name,
                compute_unit=ComputeUnit.GPU if on_gpu else ComputeUnit.CPU,
                time_ns=round(spent_us * 1000),
            )
        )
    if compiled and not on_gpu:
        rest_ns = round(iteration.cpu_time_total * 1000) - sum(layer.time_ns for layer in layers)
        layers.append(Layer("compiled kernels", "AOTInductor", ComputeUnit.CPU, max(0, rest_ns), delegate="inductor"))
    return layers


def _root(event: Any) -> Iterator[Any]:
    """The outermost operators of an event that has no parent, which may be one itself."""
    if "::" in event.name or not event.cpu_children:
        yield event
    else:
        yield from _operators(event)


def _overlap(iteration: Any, others: Sequence[Any]) -> int:
    """Time in ns in which operators of several threads ran at once."""
    operators = chain(_operators(iteration), *map(_root, others))
    return overlap(
        Span(event.thread, round(event.time_range.start * 1000), round(event.time_range.end * 1000))
        for event in operators
    )


def _operators(event: Any) -> Iterator[Any]:
    """The outermost operators below an event, through frames that are no operators (such as ``forward``)."""
    for child in event.cpu_children:
        if "::" in child.name or not child.cpu_children:
            yield child
        else:
            yield from _operators(child)


def _note(*, on_gpu: bool, compiled: bool) -> str:
    if on_gpu:
        return "Times are those of each operator's kernels on the GPU; operators without one are left out."
    if compiled:
        return "AOTInductor's own kernels are not told apart: they are one layer, what is left of the iteration."
    return "Operators as the model calls them, inner ones included; the time between them is left out."
