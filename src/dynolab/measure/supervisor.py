"""Runs a whole campaign on the device: ``python -m dynolab.measure.supervisor FOLDER``.

Reads ``campaign.json``, spawns one worker process after the other, and leaves ``measured.json``. Progress goes to
standard output, one JSON object a line. Small on purpose: no runtime is ever loaded here.
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from dynolab import errors
from dynolab.measure import lifeline, plan, verdict
from dynolab.measure.campaign import Runner, emit
from dynolab.measure.footprint import MemoryPasses
from dynolab.measure.protocol import (
    CAMPAIGN_FILE,
    CANDIDATE_FILE,
    MEASURED_FILE,
    Campaign,
    InputPlan,
    Inspection,
    Measure,
    Measured,
    RunKind,
    RunResult,
    read,
    write,
)
from dynolab.measure.timing import TimingPasses
from dynolab.spec.models import ModelFormat
from dynolab.spec.profiles import ComputeUnit, Layer, Verdict
from dynolab.spec.tensors import TensorSpec


def carry_out(folder: Path, campaign: Campaign) -> Measured:
    """Everything that was found; an error of the model or the user ends the campaign and is part of it."""
    runner = Runner(folder, campaign)
    try:
        inspect(runner)
        TimingPasses(runner).carry_out()
        runner.note(plan=plan.effective(runner.measured, campaign, runner.options, runner.cage.method))
        MemoryPasses(runner).carry_out()
        layers(runner)
        floor(runner)
    except errors.Error as error:
        runner.note(error=error.to_dict())
    return runner.finish()


def inspect(runner: Runner) -> None:
    """Describe the model and find inputs that it accepts; a native crash on one candidate leads to the next."""
    emit(event="stage", stage="inspect", text="reading the model and finding inputs that it accepts")
    found: Inspection | None = None
    candidate = 0
    while found is None:
        request = runner.request(RunKind.INSPECT, Measure.NOTHING, first_candidate=candidate)
        try:
            found = runner.spawn(request).result.inspection
        except errors.WorkerCrashed:
            marker = runner.last_folder() / CANDIDATE_FILE
            candidate = int(marker.read_text()) + 1 if marker.exists() else plan.CANDIDATE_TRIES
            if candidate >= plan.CANDIDATE_TRIES:
                raise
    runner.note(inspection=found)
    for note in found.notes:
        emit(event="note", text=note)


def layers(runner: Runner) -> None:
    """The layer pass."""
    emit(event="stage", stage="layers", text="time of each layer")
    runner.make_warm()
    iterations = plan.layer_iterations(runner.fastest_ns)
    result = runner.spawn(runner.request(RunKind.LAYERS, Measure.TIME, iterations=iterations)).result
    check_units(result.layers, runner.options.compute_units)
    runner.note(
        layers=result.layers,
        layer_iterations=result.layer_iterations,
        layer_resolution_ns=result.layer_resolution_ns,
        layer_note=result.layer_note,
        layers_reason=result.layers_reason,
        layers_verdict=_layers_verdict(runner, result),
    )


def _layers_verdict(runner: Runner, result: RunResult) -> Verdict | None:
    if result.witnesses is None:
        return None
    return verdict.judge_timing(result.witnesses, best=runner.measured.best)


def check_units(found: Sequence[Layer], requested: Sequence[ComputeUnit]) -> None:
    """Raise :class:`~dynolab.errors.ModelNotSupported` for layers on a unit that the request excludes."""
    elsewhere = [layer for layer in found if requested and layer.compute_unit not in requested]
    if elsewhere:
        first, unit = elsewhere[0], elsewhere[0].compute_unit
        raise errors.ModelNotSupported(
            f"{len(elsewhere)} of {len(found)} layers ran on the {unit}, which --compute_unit "
            f"{','.join(requested).lower()} excludes (such as {first.name}, {first.type})",
            hint=f"--compute_unit {','.join([*requested, unit]).lower()} allows it, and reports every fallback",
        )


def floor(runner: Runner) -> None:
    """What the harness itself costs: the same loop around a model that does nothing."""
    emit(event="stage", stage="floor", text="the harness's own cost")
    model = runner.folder / "floor.null"
    model.write_text("{}", encoding="utf-8")
    request = runner.request(
        RunKind.INFERENCE,
        Measure.TIME,
        runtime="null",
        model=str(model),
        format=ModelFormat.NULL,
        options_text="",
        inputs=(InputPlan(TensorSpec("x", "float32", (1,)), 0.0, 1.0),),
        outputs=(),
        iterations=plan.FLOOR_ITERATIONS,
    )
    runner.note(floor_ns=min(runner.spawn(request).result.values_ns))


def main(arguments: list[str]) -> int:
    """Carry out the campaign in the folder given; a terminate signal ends it and its workers."""
    lifeline.hold(os.getppid())
    folder = Path(arguments[0])
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    write(carry_out(folder, read(Campaign, folder / CAMPAIGN_FILE)), folder / MEASURED_FILE)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
