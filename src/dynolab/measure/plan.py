"""The effective plan of a campaign: how many processes each stage and pass gets, and how the loop's budget is shared."""

from __future__ import annotations

from dataclasses import dataclass

from dynolab.measure.campaign_messages import Campaign, Measured
from dynolab.spec import stats
from dynolab.spec.measurements import StageName
from dynolab.spec.options import Options
from dynolab.spec.profiles import Plan

SHORT_COMPILE_NS = 10_000_000_000
"""A compilation under this is repeated; a longer one is timed once."""
INFERENCE_PROCESSES = 3
"""The iterations are shared by three processes: one process's luck (address layout, placement) is not the model's."""
DEFAULT_ITERATIONS = 100
"""Of all processes together, in any case, where the request does not say."""
MAX_ITERATIONS_PER_PROCESS = 10_000_000
SETTLE_MOST = 5_000
"""Iterations of one process where the request does not say: five windows of a model that takes 20 us. All are kept, and pages that
show a profile, or compare some, read 2 MiB of documents at most."""
SETTLE_WITHIN_NS = 1_500_000_000
"""How long one process looks for calm windows, beyond the iterations that are made in any case."""
LOAD_TRIES, LOAD_TRIES_NS = 2, 8_000_000_000
"""Processes that a compilation or load is given beyond the plan while its range is wide, and the time for them."""
LOOP_TRIES, LOOP_TRIES_NS = 3, 10_000_000_000
"""The same for the loop."""
MEMORY_ITERATIONS = 10
"""Inferences in a memory pass: arenas and caches have grown to their size by then."""
GROWTH_ITERATIONS = 400
"""Inferences of one memory pass over which memory may grow: what is kept for each of them adds up to more than the allocator's noise."""
GROWTH_TIME_NS = 1_000_000_000
"""Growth is read if they take no longer, or if the request asks for as many iterations anyway."""
LAYER_ITERATIONS = 30
LAYER_ITERATIONS_MAX = 300
LAYER_TIME_NS = 200_000_000
"""Iterations beyond the first number are made as far as they fit into this time, up to the second: some ten windows, of which
one may be calm."""
LAYER_TIME_LIMIT_NS = 20_000_000_000
LAYER_TRIES = 2
"""Processes of the layer pass while too few iterations were calm."""
LAYER_TRIES_NS = 10_000_000_000
"""Time that they may take together: another is begun only if it fits."""
SUSTAINED_WINDOWS = 600
"""Of a sustained run, time permitting: a second each of ten minutes. Pages show profiles of 2 MiB at most."""
SUSTAINED_WINDOW_NS = 200_000_000
"""The shortest: what is read at its end takes 2 ms."""
CANDIDATE_TRIES = 10
"""Ways of feeding a model that an inspection tries at most."""


@dataclass(frozen=True, slots=True)
class Tries:
    """Processes of one stage: those of the plan, and those that may be added while the range of its time is wide."""

    planned: int
    more: int
    more_within_ns: int


def load_tries(repeats: int) -> Tries:
    """Of a compilation or a load; who wants one repeat wants no more."""
    return Tries(repeats, LOAD_TRIES if repeats > 1 else 0, LOAD_TRIES_NS)


def loop_iterations(options: Options, repeats: int) -> list[int]:
    """Iterations of each process of the plan."""
    asked = options.max_profiler_iterations or DEFAULT_ITERATIONS
    parts = stats.share_of_iterations(asked, max(INFERENCE_PROCESSES, repeats))
    return [min(part, MAX_ITERATIONS_PER_PROCESS) for part in parts]


def loop_tries(options: Options, repeats: int) -> Tries:
    """Of the loop; where the iterations are given, they are a limit."""
    more = LOOP_TRIES if options.max_profiler_iterations is None and repeats > 1 else 0
    return Tries(len(loop_iterations(options, repeats)), more, LOOP_TRIES_NS)


def sustained_windows(length_ns: int) -> int:
    """Windows of a sustained run: of 0.2 s each, longer ones where they would be too many."""
    return max(1, min(SUSTAINED_WINDOWS, length_ns // SUSTAINED_WINDOW_NS))


def layer_iterations(inference_ns: int) -> int:
    """Iterations of the layer pass: more for a fast model, fewer for one that takes seconds."""
    wanted = max(LAYER_ITERATIONS, min(LAYER_ITERATIONS_MAX, LAYER_TIME_NS // max(1, inference_ns)))
    return max(2, min(wanted, LAYER_TIME_LIMIT_NS // max(1, inference_ns)))


def growth_iterations(inference_ns: int, options: Options) -> int:
    """Iterations over which growth of memory is read; 0: they would take too long."""
    asked = options.max_profiler_iterations or 0
    short = GROWTH_ITERATIONS * inference_ns <= GROWTH_TIME_NS
    return GROWTH_ITERATIONS if short or asked >= GROWTH_ITERATIONS else 0


def effective(measured: Measured, campaign: Campaign, options: Options, limit_method: str | None) -> Plan:
    """The plan as it is carried out, once the timing passes are done."""
    repeats = 0 if measured.memory_reason else campaign.repeats
    compiles = measured.inspection is not None and measured.inspection.compiles
    fastest_ns = min(min(run.values_ns) for run in measured.timing[StageName.INFERENCE])
    return Plan(
        timing_runs={str(kind): len(runs) for kind, runs in measured.timing.items()},
        memory_runs={
            str(StageName.COMPILE): int(bool(repeats and compiles)),
            **{str(name): repeats for name in (StageName.FIRST_LOAD, StageName.WARM_LOAD, StageName.INFERENCE)},
        },
        layer_iterations=layer_iterations(fastest_ns),
        max_iterations=options.max_profiler_iterations,
        max_time_s=options.max_profiler_time_s,
        growth_iterations=growth_iterations(fastest_ns, options) if repeats else 0,
        memory_limit_method=limit_method,
    )
