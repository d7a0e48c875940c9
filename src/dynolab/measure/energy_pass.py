"""The energy pass of a campaign: the device idle, then the model's loop, in turn; nothing where no sensor can be read."""

from __future__ import annotations

from dynolab import errors
from dynolab.measure.campaign import Runner
from dynolab.measure.orders import Files
from dynolab.measure.plan import MAX_ITERATIONS_PER_PROCESS
from dynolab.measure.protocol import Measure, RunKind
from dynolab.spec.energy import EnergyPass, EnergySample

IDLE_S, LOOP_S = 1.0, 2.5
"""How long the device is watched idle, and the model for at least: RAPL counts every millisecond, board monitors average over 0.1 s."""
SLOW_IDLE_S, SLOW_LOOP_S = 10.0, 20.0
"""The same where there is a battery's gauge alone, which is renewed every few seconds."""
LOOPS = 3
ITERATIONS_LEAST = 4
"""Samples lie between iterations: of fewer there is none inside the loop."""
LONGEST_S = 60.0
"""Of one loop: a model whose inferences take longer has no figure."""


def carry_out(runner: Runner) -> None:
    """As many loops as the campaign repeats things, three at most; a model that fails now leaves what was measured before."""
    first = runner.device.idle(IDLE_S)
    if not first.sources:
        runner.note(energy=EnergyPass(unavailable=first.unavailable))
        return
    slow = set(first.sources) == {"battery"}
    idle_s, loop_s = (SLOW_IDLE_S, SLOW_LOOP_S) if slow else (IDLE_S, LOOP_S)
    idle = [runner.device.idle(idle_s).samples if slow else first.samples]
    loops: list[tuple[EnergySample, ...]] = []
    reason = _too_long(runner)
    for number in range(0 if reason else min(LOOPS, runner.campaign.repeats)):
        runner.tell(event="stage", stage="energy", text="energy of the inference", process=number + 1)
        try:
            loops.append(_loop(runner, loop_s))
        except errors.WorkerError as error:
            reason = f"the energy pass failed: {error.message}"
            break
        idle.append(runner.device.idle(idle_s).samples)
    runner.note(energy=EnergyPass(tuple(idle), tuple(loops), first.sources, first.unavailable, reason))


def _loop(runner: Runner, loop_s: float) -> tuple[EnergySample, ...]:
    wanted = max(ITERATIONS_LEAST, int(loop_s * 1e9 / max(1, runner.fastest_ns)))
    request = runner.request(
        RunKind.INFERENCE,
        Measure.NOTHING,
        iterations=min(wanted, MAX_ITERATIONS_PER_PROCESS),
        time_limit_ns=int(LONGEST_S * 1e9),
    )
    return runner.spawn(request, Files.WARM, reads_energy=True).energy


def _too_long(runner: Runner) -> str | None:
    if ITERATIONS_LEAST * runner.fastest_ns <= LONGEST_S * 1e9:
        return None
    return f"{ITERATIONS_LEAST} inferences would take longer than {LONGEST_S:.0f} s"
