"""A trace for Perfetto (https://ui.perfetto.dev) or chrome://tracing, in the Trace Event Format's JSON.

https://docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU (times in microseconds)
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from dynolab.report.base import Report, line, only, runtime_text, stage_title
from dynolab.spec.profiles import LayerTable, Profile, Stage, TimingRun

Event = dict[str, Any]
_LAYERS_PID = 5  # after the four stages
_NOTE = "Runs are laid end to end in the order of the stages: the time between them was not recorded."


class TraceReport(Report):
    """A process per stage, a thread per worker process; slices are the raw values, and the layers."""

    name = "trace"
    file_name = "trace.json"
    description = "a timeline for Perfetto or chrome://tracing: runs, iterations, layers"

    def render(self, profiles: Sequence[Profile]) -> str:
        profile = only(profiles, self.name)
        events, now = [], 0
        for pid, stage in enumerate(profile.stages, 1):
            events += _named("process_name", pid, 0, f"{pid} {stage_title(stage)}")
            for run in stage.timing_runs:
                slices = list(_run(stage, run, pid, now))
                now = max((int(event["end_ns"]) for event in slices), default=now)
                events += _named("thread_name", pid, _thread(run), _thread_name(run)) + slices
        events += _layers(profile.layers, now)
        about = {"model": line(profile.model.name), "runtime": runtime_text(profile), "note": _NOTE}
        document = {"displayTimeUnit": "ms", "traceEvents": [_finished(event) for event in events], "otherData": about}
        return json.dumps(document, separators=(",", ":")) + "\n"


def _named(kind: str, pid: int, tid: int, name: str) -> list[Event]:
    return [{"ph": "M", "name": kind, "pid": pid, "tid": tid, "args": {"name": name}}]


def _slice(name: str, category: str, pid: int, tid: int, start_ns: int, length_ns: int, **args: object) -> Event:
    return {"ph": "X", "name": name, "cat": category, "pid": pid, "tid": tid, "args": args,
            "start_ns": start_ns, "end_ns": start_ns + length_ns}  # fmt: skip


def _finished(event: Event) -> Event:
    """The event with its times in microseconds, as the format wants them (fractions are allowed)."""
    if event["ph"] != "X":
        return event
    start, end = event.pop("start_ns"), event.pop("end_ns")
    return {**event, "ts": start / 1000, "dur": (end - start) / 1000}


def _thread(run: TimingRun) -> int:
    return run.process * 10 + run.attempt  # three tries at most, in profiles of schema 1


def _thread_name(run: TimingRun) -> str:
    return (
        f"process {run.process}"
        + (f", try {run.attempt}" if run.attempt > 1 else "")
        + ("" if run.chosen else " (left out)")
    )


def _run(stage: Stage, run: TimingRun, pid: int, now: int) -> Iterator[Event]:
    """The run's slices from ``now`` (ns) on: first inference, warm-up, iterations, one after another."""
    first = [] if run.first_ns is None else [("first inference", "first", run.first_ns)]
    warmup = [(f"warm-up {index}", "warm-up", ns) for index, ns in enumerate(run.warmup_ns, 1)]
    word = "iteration" if len(run.values_ns) > 1 or first else stage_title(stage).lower()
    values = [(f"{word} {index}", "measured", ns) for index, ns in enumerate(run.values_ns, 1)]
    for name, category, ns in [*first, *warmup, *values]:
        yield _slice(name, category, pid, _thread(run), now, ns, ns=ns, verdict=run.verdict.trust.value)
        now += ns


def _layers(table: LayerTable, now: int) -> list[Event]:
    """The layers with their medians, one after another, a thread per compute unit."""
    if not table.layers:
        return []
    units = sorted({layer.compute_unit.value for layer in table.layers})
    events = _named("process_name", _LAYERS_PID, 0, f"{_LAYERS_PID} Layers, each with its median")
    for tid, unit in enumerate(units, 1):
        events += _named("thread_name", _LAYERS_PID, tid, unit)
    for layer in table.layers:
        tid = units.index(layer.compute_unit.value) + 1
        events.append(_slice(line(layer.name), line(layer.type) or "layer", _LAYERS_PID, tid, now, layer.time_ns,
                             type=line(layer.type), output_bytes=layer.output_bytes))  # fmt: skip
        now += layer.time_ns
    return events


plugin = TraceReport()
