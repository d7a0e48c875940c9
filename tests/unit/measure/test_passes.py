"""A whole measurement of a model that does nothing: which passes it tells of, and the process of each."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from dynolab.connections.base import this_machine
from dynolab.jobs.base import Context
from dynolab.jobs.profile import plugin as job
from dynolab.spec.jobs import ProfileSpec


def test_the_processes_of_each_pass_are_counted_from_one(null_model: Callable[..., Path]) -> None:
    events: list[Mapping[str, Any]] = []
    options = "--max_profiler_iterations 2"
    spec = job.validate(ProfileSpec(null_model(), options=options, repeats=2))
    profile = job.run(spec, Context(this_machine(), events.append))
    told = defaultdict[tuple[str, str], list[int]](list)
    for event in events:
        if event["event"] == "stage" and "process" in event:
            told[event["stage"], event["text"]].append(event["process"])
    assert told["first_load", "time"][:2] == [1, 2], "and more, while its range is wide"
    assert told["inference", "time"] == [1, 2]
    memory = {stage: numbers for (stage, text), numbers in told.items() if text == "memory"}
    if profile.process_total_reason is None:
        assert memory == {"first_load": [1, 2], "inference": [1, 2], "total": [1, 2, 1, 2]}
