"""The effective plan of a campaign: how many processes each stage and pass gets, and how the loop's budget is shared."""

from __future__ import annotations

from dynolab.measure.orders import Campaign, Measured
from dynolab.spec import stats
from dynolab.spec.measurements import StageName
from dynolab.spec.options import Options
from dynolab.spec.profiles import Plan

SHORT_COMPILE_NS = 10_000_000_000
"""A compilation under this is repeated; a longer one is timed once."""
INFERENCE_PROCESSES = 3
"""The iterations are shared by three processes: one process's luck (address layout, placement) is not the model's."""
MAX_ITERATIONS_PER_PROCESS = 10_000_000
MAX_TRIES = 3
"""A noisy timing pass is repeated up to this many tries in all."""
CALM_PROCESSES = 2
"""Processes of the loop that must have run undisturbed: a single calm one proves little on a host that changes its speed.
Two that agree are no proof either (docs/benchmarks.md, verdict beside a CPU hog)."""
HOPELESS_TRIES = 5
"""After so many noisy tries in a row the device is plainly busy: further retries cost time and bring nothing."""
MEMORY_ITERATIONS = 10
"""Inferences in a memory pass: arenas and caches have grown to their size by then."""
LAYER_ITERATIONS = 20
LAYER_TIME_LIMIT_NS = 20_000_000_000
CANDIDATE_TRIES = 10
"""Ways of feeding a model that an inspection tries at most."""


def compile_runs(first_ns: int, repeats: int) -> int:
    """Timing runs of the compile stage, from the duration of the first."""
    return repeats if first_ns < SHORT_COMPILE_NS else 1


def timing_processes(options: Options, repeats: int) -> list[int]:
    """Iterations of each process of the inference's timing pass."""
    parts = stats.share_of_iterations(options.max_profiler_iterations, max(INFERENCE_PROCESSES, repeats))
    return [min(part, MAX_ITERATIONS_PER_PROCESS) for part in parts]


def layer_iterations(inference_ns: int) -> int:
    """Iterations of the layer pass: fewer for a model that takes seconds."""
    return max(2, min(LAYER_ITERATIONS, LAYER_TIME_LIMIT_NS // max(1, inference_ns)))


def effective(measured: Measured, campaign: Campaign, options: Options, limit_method: str | None) -> Plan:
    """The plan as it is carried out, once the timing passes are done."""
    repeats = 0 if measured.memory_reason else campaign.repeats
    compiles = measured.inspection is not None and measured.inspection.compiles
    fastest_ns = min(min(run.values_ns) for run in measured.timing[StageName.INFERENCE] if run.chosen)
    return Plan(
        timing_runs={str(kind): len({run.process for run in runs}) for kind, runs in measured.timing.items()},
        memory_runs={
            str(StageName.COMPILE): int(bool(repeats and compiles)),
            **{str(name): repeats for name in (StageName.FIRST_LOAD, StageName.WARM_LOAD, StageName.INFERENCE)},
        },
        layer_iterations=layer_iterations(fastest_ns),
        max_iterations=options.max_profiler_iterations,
        max_time_s=options.max_profiler_time_s,
        memory_limit_method=limit_method,
    )
