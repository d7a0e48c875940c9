"""The layer pass of a campaign: tried again in a fresh process while too few of its iterations were calm."""

from __future__ import annotations

from collections.abc import Sequence

from dynolab import errors
from dynolab.measure import layer_times, plan
from dynolab.measure.campaign import Runner
from dynolab.measure.orders import Files
from dynolab.measure.protocol import LayerPass, Measure, RunKind
from dynolab.spec.measurements import ComputeUnit, Layer


def carry_out(runner: Runner) -> None:
    """All tries; their iterations count together."""
    passes: list[LayerPass] = []
    spent_ns = 0
    for attempt in range(1, plan.LAYER_TRIES + 1):
        runner.tell(event="stage", stage="layers", text="time of each layer", attempt=attempt)
        try:
            found, taken_ns = _try(runner)
        except errors.WorkerError as error:
            # All else was measured by now, and stays.
            passes = passes or [LayerPass(reason=f"the layer pass failed: {error.message}")]
            break
        check_units(found.layers, runner.options.compute_units)
        passes.append(found)
        spent_ns += taken_ns
        calm = _calm(passes)
        if found.reason or layer_times.are_enough(calm) or spent_ns + taken_ns > plan.LAYER_TRIES_NS:
            break
        if runner.is_parallel and not any(calm):
            break  # several CPUs are at full speed together seldom: the next process will not be calm either
    runner.note(layer_pass=layer_times.together(passes))


def _calm(passes: Sequence[LayerPass]) -> list[bool]:
    return [calm for each in passes for calm in each.calm]


def _try(runner: Runner) -> tuple[LayerPass, int]:
    """One pass, and how long its process took in ns."""
    iterations = plan.layer_iterations(runner.fastest_ns)
    outcome = runner.spawn(
        runner.request(RunKind.LAYERS, Measure.TIME, iterations=iterations, best=runner.measured.best), Files.WARM
    )
    found = outcome.result.layer_pass
    if found is None:
        raise errors.Bug("a layer pass left no layers and no reason")
    return found, outcome.wall_ns


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
