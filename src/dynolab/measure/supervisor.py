"""Runs a whole campaign on the device: ``python -m dynolab.measure.supervisor FOLDER``.

Reads ``campaign.json``, spawns one worker process after the other, and leaves ``measured.json``. Progress goes to
standard output, one JSON object a line. Small on purpose: no runtime is ever loaded here.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from dynolab import errors
from dynolab.measure import layer_tries, lifeline, plan
from dynolab.measure.campaign import Runner, emit
from dynolab.measure.campaign_messages import CAMPAIGN_FILE, MEASURED_FILE, Campaign, Measured
from dynolab.measure.memory_passes import MemoryPasses
from dynolab.measure.protocol import CANDIDATE_FILE, UNFIT_CODE, Inspection, Measure, RunKind, read, write
from dynolab.measure.timing import TimingPasses
from dynolab.spec import untrusted


def carry_out(folder: Path, campaign: Campaign) -> Measured:
    """Everything that was found; an error of the model or the user ends the campaign and is part of it."""
    runner = Runner(folder, campaign)
    try:
        inspect(runner)
        if campaign.batches:
            infer(runner)
        if campaign.measures:
            measure(runner)
    except errors.Error as error:
        runner.note(error=error.to_dict())
    return runner.finish()


def measure(runner: Runner) -> None:
    """The four stages, and the layers."""
    runner.look_at_reference()
    TimingPasses(runner).carry_out()
    runner.note(plan=plan.effective(runner.measured, runner.campaign, runner.options, runner.memory_limit.method))
    MemoryPasses(runner).carry_out()
    layer_tries.carry_out(runner)


def infer(runner: Runner) -> None:
    """One inference for each batch."""
    batches = runner.campaign.batches
    emit(event="stage", stage="infer", text=f"inference of {len(batches)} batches")
    request = runner.request(RunKind.INFER, Measure.NOTHING, batches=batches)
    runner.note(outputs=runner.spawn(request).result.outputs)


def inspect(runner: Runner) -> None:
    """Describe the model and find inputs that it accepts; a native crash on one candidate leads to the next."""
    emit(event="stage", stage="inspect", text="reading the model and finding inputs that it accepts")
    found: Inspection | None = None
    candidate = 0
    while found is None:
        request = runner.request(RunKind.INSPECT, Measure.NOTHING, first_candidate=candidate)
        try:
            result = runner.spawn(request).result
            found = result.inspection
            runner.note(floor_ns=result.floor_ns)
            if result.uncompiled and not sys.dont_write_bytecode:
                keep_bytecode(runner.campaign.runtime)
        except errors.WorkerCrashed:
            candidate = max(candidate, tried(runner.last_folder())) + 1
            if candidate >= plan.CANDIDATE_TRIES:
                raise
    runner.note(inspection=found)
    for note in found.notes:
        emit(event="note", text=note)


def keep_bytecode(runtime: str) -> None:
    """Import a runtime's library once outside the sandbox, without any model, so that Python keeps what it compiles.

    Some installers leave that to the first import, and inside, where nothing of Python may be written, every import would be one.
    """
    code = (
        "import sys, importlib.metadata, numpy.random; from dynolab.measure.worker import plugins as p; "
        "p.load('dynolab.runtimes', sys.argv[1]).import_library()"
    )
    command = [sys.executable, "-P", "-c", code, runtime]
    nowhere = subprocess.DEVNULL
    # An agent closes its own files to others, but workers, which are others where the agent is root, read these.
    subprocess.run(command, stdout=nowhere, stderr=nowhere, stdin=nowhere, check=False, umask=0o022)


def tried(folder: Path) -> int:
    """The number of the candidate that a run was at when it ended; past the last one where it was at none."""
    try:
        content = untrusted.read_bytes(folder / CANDIDATE_FILE, inside=folder, most=20)
        return int(content)
    except (OSError, ValueError, errors.Forbidden):
        return plan.CANDIDATE_TRIES


def supervise(arguments: list[str], work: Callable[[Path], None]) -> int:
    """Do the work in the folder given, as a process of its own; a terminate signal ends it and its workers."""
    lifeline.hold(os.getppid())
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        work(Path(arguments[0]))
    except (OSError, MemoryError) as error:
        unfit = errors.unfit(error)
        if unfit is None:
            raise
        emit(event="unfit", error=unfit.to_dict())  # not a file, for which there may be no room
        return UNFIT_CODE
    return 0


def campaign_in(folder: Path) -> None:
    """Carry out the campaign that lies in a folder, and leave there what was measured."""
    write(carry_out(folder, read(Campaign, folder / CAMPAIGN_FILE)), folder / MEASURED_FILE)


if __name__ == "__main__":
    sys.exit(supervise(sys.argv[1:], campaign_in))
