"""Layers of a PyTorch model, from PyTorch's profiler: the operators that each iteration calls."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from dynolab.runtimes.base import LayerRecording
from dynolab.runtimes.torch import files
from dynolab.spec.measurements import ComputeUnit, Layer

WARMUP = 5
"""Runs before the recording: more than TorchScript's executor takes to settle (two, pytorch.org/docs, torch.jit)."""
ITERATION = "dynolab_iteration"


def record(run: Callable[[], object], iterations: int, *, on_gpu: bool, compiled: bool) -> LayerRecording:
    """The outermost operators of each of ``iterations`` runs, their inner ones included in their times.

    ``compiled``: much of the model is in kernels of AOTInductor's that the profiler does not see; what is left of an
    iteration stands for them, so that the layers add up.
    """
    from torch.profiler import ProfilerActivity, profile, record_function

    for _ in range(WARMUP):
        run()
    activities = [ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if on_gpu else [])]
    with files.quiet(), profile(activities=activities) as recording:
        for _ in range(iterations):
            with record_function(ITERATION):
                run()
    rounds = [event for event in recording.events() if event.name == ITERATION and event.cpu_parent is None]
    rows = [_layers(event, on_gpu=on_gpu, compiled=compiled) for event in rounds]
    return LayerRecording(rows, resolution_ns=1, note=_note(on_gpu=on_gpu, compiled=compiled))


def _layers(iteration: Any, *, on_gpu: bool, compiled: bool) -> list[Layer]:
    """The layers of one recorded iteration."""
    layers = []
    for index, event in enumerate(_operators(iteration)):
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
