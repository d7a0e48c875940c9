"""Bencher Metric Format, for tracking figures over time.

https://bencher.dev/docs/reference/bencher-metric-format
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from dynolab.report.base import Report, labels, line, some
from dynolab.spec.facts import fact
from dynolab.spec.measurements import Range
from dynolab.spec.profiles import Profile

_LONGEST_NAME = 1024 - 1  # Bencher's limit for a benchmark's name
_PLAIN = {
    "compile-time": "compile_time",
    "first-load-time": "first_load_time",
    "warm-load-time": "warm_load_time",
    "latency": "estimated_inference_time",
    "throughput": "iterations_per_second",
    "first-inference-time": "first_inference_time",
}
_RANGES = {
    "compile-memory-peak": "compile_memory_peak_range",
    "first-load-memory-peak": "first_load_memory_peak_range",
    "warm-load-memory-peak": "warm_load_memory_peak_range",
    "inference-memory-peak": "inference_memory_peak_range",
    "process-total-peak": "process_total_peak_range",
}
Metric = dict[str, int | float]


class BmfReport(Report):
    """Times in ns, memory in bytes, energy in joules, throughput per second; ``latency`` and ``throughput`` are Bencher's own measures.

    A memory range's value is its upper end, with both ends as its bounds. What was not measured is left out.
    """

    name = "bmf"
    file_name = "bmf.json"
    description = "Bencher Metric Format, for tracking the figures over time"
    several = True

    def render(self, profiles: Sequence[Profile]) -> str:
        shown = some(profiles, self.name)
        document: dict[str, dict[str, Metric]] = {}
        for label, profile in zip(labels(shown), shown, strict=True):
            document[_benchmark(profile, label, document)] = _measures(profile)
        return json.dumps(document, indent=1) + "\n"


def _benchmark(profile: Profile, label: str, taken: dict[str, dict[str, Metric]]) -> str:
    name = f"{line(profile.model.name)}, {line(profile.runtime.name)}, {line(profile.device.name)}"[:_LONGEST_NAME]
    return name if name not in taken else f"{name[: _LONGEST_NAME - len(label) - 3]} ({label})"


def _measures(profile: Profile) -> dict[str, Metric]:
    measures: dict[str, Metric] = {}
    for measure, key in _PLAIN.items():
        value = fact(key).value(profile)
        if isinstance(value, int | float):
            measures[measure] = {"value": value}
    if profile.inference.time is not None and profile.inference.time.median_interval_ns is not None:
        low, high = profile.inference.time.median_interval_ns
        measures["latency-median"] = {
            "value": profile.inference.time.median_ns,
            "lower_value": low,
            "upper_value": high,
        }
    energy = profile.energy
    if energy is not None and energy.joules is not None and energy.uncertainty_joules is not None:
        ends = energy.joules - energy.uncertainty_joules, energy.joules + energy.uncertainty_joules
        measures["energy"] = {"value": energy.joules, "lower_value": ends[0], "upper_value": ends[1]}
    for measure, key in _RANGES.items():
        value = fact(key).value(profile)
        if isinstance(value, Range):
            measures[measure] = {"value": value.upper, "lower_value": value.lower, "upper_value": value.upper}
    return measures


plugin = BmfReport()
