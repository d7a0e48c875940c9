"""ONNX Runtime's profiling trace (JSON, a clock step of 1 us) as layers."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from dynolab.runtimes._spans import Span, overlap
from dynolab.runtimes.onnxruntime.providers import UNIT_OF_PROVIDER
from dynolab.spec.measurements import ComputeUnit, Layer

MOST_EVENTS = 200_000
"""A pass records no more kernels than this, some 700 bytes each; ONNX Runtime itself drops what comes after a million."""
_OUTER = {"If", "Loop", "Scan", "SequenceMap", "BeamSearch", "GreedySearch", "Sampling"}
"""Operators whose kernels run others, which are events of their own."""
_KERNEL = "_kernel_time"


def events(file: Path) -> Iterator[dict[str, Any]]:
    """The events of a trace as they were written, one to a line: a loop's trace is larger than memory should hold."""
    with file.open(encoding="utf-8") as lines:
        for text in lines:
            line = text.strip().rstrip(",")
            if line.startswith("{"):
                yield json.loads(line)


class Iteration(NamedTuple):
    """One run: its layers, and how much of their time counts more than once because kernels ran on several threads at once."""

    layers: list[Layer]
    overlap_ns: int


def iterations(found: Iterable[dict[str, Any]]) -> Iterator[Iteration]:
    """Each run: the kernels since the last ``model_run``, which is written when a run ends."""
    inside: list[dict[str, Any]] = []
    for event in found:
        if event.get("name") == "model_run":
            end = event["ts"] + event["dur"]
            kernels = [kernel for kernel in inside if event["ts"] <= kernel["ts"] <= end]
            spans = (Span(kernel["tid"], kernel["ts"], _end(kernel)) for kernel in kernels)
            yield Iteration(_summed(_own_times(kernels)), overlap(spans) * 1000)
            inside = []
        elif event.get("cat") == "Node" and event["name"].endswith(_KERNEL):
            inside.append(_slim(event))


def _slim(event: dict[str, Any]) -> dict[str, Any]:
    kept = ("provider", "output_size", "op_name", "node_index")
    return {**event, "args": {name: event["args"][name] for name in kept if name in event["args"]}}


def _own_times(kernels: list[dict[str, Any]]) -> list[tuple[dict[str, Any], int]]:
    """Each kernel with its own time in us: those of a subgraph run inside their If, Loop or Scan, on its thread."""
    kernels.sort(key=lambda event: (event["ts"], -event["dur"]))
    own = [int(kernel["dur"]) for kernel in kernels]
    by_thread: dict[object, list[int]] = {}
    for index, kernel in enumerate(kernels):
        outer = by_thread.setdefault(kernel["tid"], [])
        while outer and _end(kernels[outer[-1]]) < _end(kernel):
            outer.pop()
        if outer:
            own[outer[-1]] -= int(kernel["dur"])
        if kernel["args"].get("op_name") in _OUTER:
            outer.append(index)
    return [(kernel, max(0, time)) for kernel, time in zip(kernels, own, strict=True)]


def _end(kernel: dict[str, Any]) -> int:
    return int(kernel["ts"] + kernel["dur"])


def _summed(kernels: list[tuple[dict[str, Any], int]]) -> list[Layer]:
    """A layer for each node, in the order of their first runs; the times of one that ran several times are summed."""
    layers: dict[tuple[Any, ...], Layer] = {}
    for event, time in kernels:
        details = event["args"]
        key = (event["name"], details.get("op_name"), details.get("node_index"))
        known = layers.get(key)
        layers[key] = _layer(event, time) if known is None else replace(known, time_ns=known.time_ns + time * 1000)
    return list(layers.values())


def _layer(event: dict[str, Any], time_us: int) -> Layer:
    details = event["args"]
    provider = details.get("provider", "")
    size = details.get("output_size", "")
    return Layer(
        name=event["name"].removesuffix(_KERNEL),
        type=details.get("op_name", "?"),
        compute_unit=UNIT_OF_PROVIDER.get(provider, ComputeUnit.CPU),
        time_ns=time_us * 1000,
        output_bytes=int(size) if str(size).isdigit() else None,
        delegate=provider.removesuffix("ExecutionProvider") or None,
    )
