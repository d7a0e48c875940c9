"""The steps of a campaign: inspection, inference of what is given, the four stages, the layers, the energy."""

from __future__ import annotations

from dataclasses import replace

from dynolab import errors
from dynolab.measure import energy_pass, layer_tries, plan
from dynolab.measure.campaign import Describe, Runner
from dynolab.measure.campaign_messages import Campaign, Measured
from dynolab.measure.device import Device
from dynolab.measure.memory_passes import MemoryPasses
from dynolab.measure.orders import Files, Survey
from dynolab.measure.protocol import Inspection, Measure, RunKind
from dynolab.measure.timing import TimingPasses


def carry_out(device: Device, survey: Survey, campaign: Campaign, describe: Describe | None = None) -> Measured:
    """Everything that was found; an error of the model or the user ends the campaign and is part of it.

    Raises the errors that are the device's: it has nothing more to tell then.
    """
    runner = Runner(device, survey, campaign, describe)
    try:
        inspect(runner)
        if campaign.batches:
            infer(runner)
        if campaign.measures:
            measure(runner)
    except errors.DeviceError:
        raise
    except errors.Error as error:
        runner.note(error=error.to_dict())
    return runner.finish()


def measure(runner: Runner) -> None:
    """The four stages, the layers, and the energy."""
    runner.look_at_reference()
    TimingPasses(runner).carry_out()
    runner.note(plan=plan.effective(runner.measured, runner.campaign, runner.options, runner.limit_method))
    MemoryPasses(runner).carry_out()
    layer_tries.carry_out(runner)
    energy_pass.carry_out(runner)
    sustain(runner)


def sustain(runner: Runner) -> None:
    """The sustained run, if one is asked for: last, since it leaves the device hot."""
    if runner.options.sustained_s is None:
        return
    length_ns = int(runner.options.sustained_s * 1e9)
    runner.tell(
        event="stage", stage="sustained", text=f"inferring for {runner.options.sustained_s:g} s without a pause"
    )
    request = runner.request(
        RunKind.SUSTAINED,
        Measure.TIME,
        best=runner.measured.best,
        sustained_ns=length_ns,
        iterations=plan.sustained_windows(length_ns),
    )
    try:
        runner.note(sustained=runner.spawn(request, Files.WARM, shows_progress=True).result.sustained)
    except errors.WorkerTimeout:
        raise
    except errors.WorkerError as error:
        # All else was measured by now, and stays.
        runner.note(sustained_reason=f"the sustained run failed: {error.message}")


def infer(runner: Runner) -> None:
    """One inference for each batch."""
    batches = runner.campaign.batches
    runner.tell(event="stage", stage="infer", text=f"inference of {len(batches)} batches")
    request = runner.request(RunKind.INFER, Measure.NOTHING, batches=batches)
    runner.note(outputs=runner.spawn(request).result.outputs)


def inspect(runner: Runner) -> None:
    """Describe the model and find inputs that it accepts; a native crash on one candidate leads to the next."""
    runner.tell(event="stage", stage="inspect", text="reading the model and finding inputs that it accepts")
    found: Inspection | None = None
    description = runner.describe() if runner.describe else None
    candidate = 0
    while found is None:
        request = runner.request(RunKind.INSPECT, Measure.NOTHING, first_candidate=candidate, description=description)
        try:
            result = runner.spawn(request).result
            found = result.inspection
            runner.note(floor_ns=result.floor_ns)
            if result.uncompiled:
                runner.device.compile_python(runner.campaign.runtime)
        except errors.WorkerCrashed:
            tried = runner.last.candidate if runner.last else None
            candidate = max(candidate, plan.CANDIDATE_TRIES if tried is None else tried) + 1
            if candidate >= plan.CANDIDATE_TRIES:
                raise
    if runner.describe:
        bound = {item.spec.name: item.spec.sizes for item in found.inputs}
        found = replace(found, description=runner.describe(bound))
    runner.note(inspection=found)
    for note in found.notes:
        runner.tell(event="note", text=note)
