"""AI Hub's own dictionary (measuring.md section 7): what ``job.download_profile()`` gives."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from dynolab.report.base import Report, only
from dynolab.spec.facts import fact
from dynolab.spec.measurements import Layer, Range, StageName
from dynolab.spec.profiles import Profile


class AiHubReport(Report):
    """Times in whole microseconds, memory in bytes; None where unmeasured, and an empty list."""

    name = "aihub"
    file_name = "aihub.json"
    description = "AI Hub's dictionary: execution_summary and execution_detail"

    def render(self, profiles: Sequence[Profile]) -> str:
        return json.dumps(dictionary(only(profiles, self.name)), indent=1) + "\n"


def dictionary(profile: Profile) -> dict[str, Any]:
    """``execution_summary`` with the twenty published keys, and ``execution_detail`` with one entry per layer.

    Times are integers in microseconds, memory integers in bytes, ranges pairs ``(lower, upper)``.
    """
    summary: dict[str, Any] = {}
    for key in ("estimated_inference", "first_load", "warm_load", "compile"):
        summary[f"{key}_time"] = _time(profile, f"{key}_time")
        summary[f"{key}_peak_memory"] = fact(f"{key}_peak_memory").value(profile)
    for name in StageName:
        for part in ("increase", "peak"):
            summary[f"{name}_memory_{part}_range"] = _pair(profile, f"{name}_memory_{part}_range")
    for stage in profile.stages:
        values = [ns for run in stage.timing_runs if run.chosen for ns in run.values_ns]
        summary[f"all_{stage.name}_times"] = [_microseconds(ns) for ns in values]
    return {"execution_summary": summary, "execution_detail": [_detail(layer) for layer in profile.layers.layers]}


def _microseconds(ns: int) -> int:
    """Rounded half up; what was measured is never 0, because clients divide by it."""
    return max(1, (ns + 500) // 1000) if ns > 0 else 0


def _time(profile: Profile, key: str) -> int | None:
    value = fact(key).value(profile)
    return _microseconds(value) if isinstance(value, int) else None


def _pair(profile: Profile, key: str) -> tuple[int, int] | None:
    value = fact(key).value(profile)
    return (value.lower, value.upper) if isinstance(value, Range) else None


def _detail(layer: Layer) -> dict[str, Any]:
    """A layer below half a microsecond reads 0, so that layers still add up."""
    return {
        "name": layer.name,
        "type": layer.type,
        "compute_unit": layer.compute_unit.value,
        "execution_time": (layer.time_ns + 500) // 1000,
        "execution_cycles": layer.cycles,
    }


plugin = AiHubReport()
