"""Single runs of the measuring worker, without a whole campaign: for contract suites and known answers."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dynolab.measure import memory, witnesses
from dynolab.measure.executor import memory_limit, process
from dynolab.measure.protocol import (
    PROTOCOL_VERSION,
    InputWishes,
    Inspection,
    Measure,
    RunKind,
    RunRequest,
    RunResult,
)
from dynolab.sandbox.base import Sandbox, give, strongest
from dynolab.spec.measurements import Range, StageName
from dynolab.spec.models import ModelFormat


@dataclass(slots=True)
class Harness:
    """One model under one runtime in a folder of its own; each call is a fresh worker process."""

    folder: Path
    model: Path
    format: ModelFormat
    runtime: str
    options: str = ""
    wishes: InputWishes = field(default_factory=InputWishes)
    inspection: Inspection | None = None
    effective: dict[str, str] = field(default_factory=dict)
    runs: int = 0
    sandbox: Sandbox = field(default_factory=strongest)

    def __post_init__(self) -> None:
        for name in ("artifact", "cache"):
            (self.folder / name).mkdir(parents=True, exist_ok=True)

    def run(self, kind: RunKind, measure: Measure = Measure.NOTHING, **changes: Any) -> process.Outcome:
        """One run; the error of the model, if any, stays in ``result.error``."""
        self.runs += 1
        request = self.request(kind, measure, **changes)
        if self.folder.is_relative_to(
            self.model.parent
        ):  # made for this harness, so the worker may have them, as in a campaign
            give([Path(file) for file in request.files])
        place = self.folder / f"run{self.runs}"
        return process.run(
            place, request, deadline_ns=None, memory_limit=memory_limit.MemoryLimit(), sandbox=self.sandbox
        )

    def request(self, kind: RunKind, measure: Measure = Measure.NOTHING, **changes: Any) -> RunRequest:
        """What a run is asked for."""
        found = self.inspection
        arguments: dict[str, Any] = {
            "protocol": PROTOCOL_VERSION,
            "kind": kind,
            "measure": measure,
            "runtime": self.runtime,
            "model": str(self.model),
            "files": tuple(str(path) for path in self.model.parent.iterdir() if path.is_file()),
            "format": self.format,
            "artifact_dir": str(self.folder / "artifact"),
            "cache_dir": str(self.folder / "cache"),
            "options_text": self.options,
            "seed": 1,
            "inputs": found.inputs if found else (),
            "outputs": found.outputs if found else (),
            "effective": self.effective,
            "wishes": self.wishes,
            "iterations": 3,
            "time_limit_ns": 10**10,
            "readings": witnesses.all_names(),
        }
        return RunRequest(**{**arguments, **changes})

    def wipe(self) -> None:
        """Empty the caches' folder, as it is before a first load."""
        shutil.rmtree(self.folder / "cache")
        (self.folder / "cache").mkdir()

    def inspect(self) -> RunResult:
        """The inspection, kept for the runs that follow; fails the test when the model failed."""
        outcome = self.run(RunKind.INSPECT)
        assert outcome.result.error is None, (outcome.result.error, outcome.log)
        self.inspection, self.effective = outcome.result.inspection, outcome.result.effective
        return outcome.result

    def good(self, kind: RunKind, measure: Measure = Measure.NOTHING, **changes: Any) -> RunResult:
        """A run that must succeed."""
        outcome = self.run(kind, measure, **changes)
        assert outcome.result.error is None, (outcome.result.error, outcome.log)
        return outcome.result

    def memory(self, stage: StageName, **changes: Any) -> tuple[Range, Range]:
        """Raw peak and increase of one stage in one memory pass, in bytes."""
        kind = RunKind.INFERENCE if stage is StageName.WARM_LOAD else RunKind(stage)
        outcome = self.run(kind, Measure.MEMORY, **changes)
        assert outcome.result.error is None, (outcome.result.error, outcome.log)
        start, end, released = outcome.result.stages[stage].edges
        return memory.ranges(start, end, released, memory.within(outcome.samples, start, end))
