"""ONNX Runtime's profiling trace (JSON, a clock step of 1 us) as layers."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from dynolab.runtimes.onnxruntime.providers import UNIT_OF_PROVIDER
from dynolab.spec.measurements import ComputeUnit, Layer


def iterations(events: list[dict[str, Any]]) -> Iterable[list[Layer]]:
    """Layers of each run: the kernel events between one ``model_run`` event's beginning and end."""
    runs = sorted((e["ts"], e["ts"] + e["dur"]) for e in events if e.get("name") == "model_run")
    kernels = [e for e in events if e.get("cat") == "Node" and e["name"].endswith("_kernel_time")]
    kernels.sort(key=lambda event: (event["ts"], -event["dur"]))
    position = 0
    for start, end in runs:
        inside = []
        while position < len(kernels) and kernels[position]["ts"] <= end:
            if kernels[position]["ts"] >= start:
                inside.append(kernels[position])
            position += 1
        yield _own_times(inside)


def _own_times(kernels: list[dict[str, Any]]) -> list[Layer]:
    """A layer for each kernel with its own time: kernels of a subgraph run inside their If, Loop or Scan."""
    own = [int(kernel["dur"]) for kernel in kernels]
    open_ones: list[int] = []
    for index, kernel in enumerate(kernels):
        end = kernel["ts"] + kernel["dur"]
        while open_ones and kernels[open_ones[-1]]["ts"] + kernels[open_ones[-1]]["dur"] < end:
            open_ones.pop()
        if open_ones and kernel["ts"] < kernels[open_ones[-1]]["ts"] + kernels[open_ones[-1]]["dur"]:
            own[open_ones[-1]] -= int(kernel["dur"])
        open_ones.append(index)
    return [_layer(kernel, max(0, time)) for kernel, time in zip(kernels, own, strict=True)]


def _layer(event: dict[str, Any], time_us: int) -> Layer:
    details = event["args"]
    provider = details.get("provider", "")
    size = details.get("output_size", "")
    return Layer(
        name=event["name"].removesuffix("_kernel_time"),
        type=details.get("op_name", "?"),
        compute_unit=UNIT_OF_PROVIDER.get(provider, ComputeUnit.CPU),
        time_ns=time_us * 1000,
        output_bytes=int(size) if str(size).isdigit() else None,
        delegate=provider.removesuffix("ExecutionProvider") or None,
    )
