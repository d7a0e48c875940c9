"""Turns what a campaign measured into the profile document: statistics, ranges, verdicts, explanations. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from dynolab.errors import Bug
from dynolab.measure import energy_figures, environment, layer_table, sustained, timing_runs, verdict
from dynolab.measure.campaign_messages import Before, Measured
from dynolab.measure.memory_growth import QUARTERS
from dynolab.measure.plan import GROWTH_ITERATIONS, GROWTH_TIME_NS
from dynolab.measure.protocol import Inspection
from dynolab.measure.sustained import Around
from dynolab.measure.time_range import TimeRange, time_range
from dynolab.spec import precision, stats
from dynolab.spec.energy import EnergySummary
from dynolab.spec.measurements import ComputeUnit, Notice, RuntimeRow, StageName
from dynolab.spec.models import FileFact, ModelFacts
from dynolab.spec.options import Options
from dynolab.spec.profiles import (
    SCHEMA_VERSION,
    ColdProof,
    ImportCost,
    LayerTable,
    MemoryGrowth,
    MemorySummary,
    Profile,
    Request,
    RuntimeFacts,
    Stage,
    Sustained,
    Tensor,
    TimeSummary,
    TimingRun,
    Trust,
    Verdict,
)
from dynolab.spec.show import show_bytes, show_share, show_time

SHOWN_CACHE_FILES = 5


def profile(
    measured: Measured,
    *,
    request: Request,
    model: ModelFacts,
    row: RuntimeRow,
    options: Options,
    notices: Sequence[Notice],
    before: Before | None,
    version: str,
    created_at: str,
) -> Profile:
    """The document of one campaign that ended well.

    ``before`` is the inference time in ns that this device lately showed for the same model, versions, inputs and options,
    or None.
    """
    found = measured.inspection
    if found is None or measured.plan is None:
        raise Bug("a campaign that ended well left no inspection or no plan")
    compile_stage = _stage(measured, StageName.COMPILE, _compile_reason(measured, found, request.runtime))
    first, warm = (_stage(measured, name, None) for name in (StageName.FIRST_LOAD, StageName.WARM_LOAD))
    inference = _stage(measured, StageName.INFERENCE, None, before)
    layers = layer_table.table(measured.layer_pass, inference.time.minimum_ns if inference.time else None)
    long = _sustained(measured, inference, options)
    return Profile(
        schema_version=SCHEMA_VERSION,
        dynolab_version=version,
        created_at=created_at,
        request=request,
        plan=measured.plan,
        device=measured.device,
        environment=measured.environment,
        model=model,
        runtime=RuntimeFacts(
            name=request.runtime,
            versions=measured.versions,
            row=row,
            effective=measured.effective,
            requested_units=options.compute_units,
        ),
        inputs=tuple(Tensor(item.spec, f"{item.source}, seed {request.seed}") for item in found.inputs),
        outputs=tuple(Tensor(spec, "the model") for spec in found.outputs),
        compile=compile_stage,
        first_load=first,
        warm_load=warm,
        inference=inference,
        layers=layers,
        runtime_import=_import_cost(measured),
        first_inference_ns=_first_inference(measured),
        process_total_peak=measured.total.peak if measured.total else None,
        process_total_reason=measured.memory_reason,
        harness_floor_ns=measured.floor_ns,
        wall_ns=measured.wall_ns,
        work_ns=measured.work_ns,
        notices=(
            *notices,
            *precision.notices(model.precision, measured.effective, layers, request.options),
            *_notices(measured, found, layers, options),
            *sustained.notices(long),
        ),
        log=measured.log,
        process_total=measured.total,
        energy=_energy(measured),
        sustained=long,
        sustained_reason=measured.sustained_reason,
    )


def _energy(measured: Measured) -> EnergySummary | None:
    """None where no sensor was asked."""
    if measured.energy is None:
        return None
    return energy_figures.summary(measured.energy, measured.environment.get("virtualisation", ""))


def _sustained(measured: Measured, inference: Stage, options: Options) -> Sustained | None:
    """What the sustained run's windows say, if there are any."""
    if measured.sustained is None or options.sustained_s is None:
        return None
    around = Around(
        asked_s=options.sustained_s,
        best=measured.best,
        is_shared=environment.is_shared(measured.environment),
        inference_ns=inference.time.minimum_ns if inference.time else None,
        unavailable=measured.sustained.unavailable,
    )
    return sustained.judge(measured.sustained.windows, around)


def _compile_reason(measured: Measured, found: Inspection, runtime: str) -> str | None:
    """Why the compile stage was not measured, or None."""
    if found.compiles:
        return None
    return measured.compile_reason or f"{runtime} has nothing to compile on the device for this model"


def _stage(measured: Measured, name: StageName, reason: str | None, before: Before | None = None) -> Stage:
    """One stage from its runs; ``reason`` says why it was not measured at all."""
    if reason is not None:
        nothing = Verdict(Trust.CLEAN, (), {})
        return Stage(name, reason, None, reason, (), None, reason, nothing)
    timing = timing_runs.chosen(measured.timing.get(name, ()))
    time = _time(name, [run for run in timing if run.chosen], measured, before)
    memory = _memory(measured, name)
    return Stage(
        name=name,
        reason=None,
        time=time,
        time_reason=None,
        timing_runs=timing,
        memory=memory,
        memory_reason=measured.memory_reason,
        verdict=verdict.combine([part.verdict for part in (time, memory) if part is not None and part.verdict]),
        cold=_least_cold(measured, timing) if name is StageName.FIRST_LOAD else None,
        files_written=_files(measured, name),
        explanation=_explanation(measured, timing) if name is StageName.FIRST_LOAD else None,
        accelerator=measured.accelerator.get(name, {}),
    )


def _time(name: StageName, runs: Sequence[TimingRun], measured: Measured, before: Before | None) -> TimeSummary:
    """The statistics of the processes that count, with the range, and the verdict on it and on their conditions."""
    shared = environment.is_shared(measured.environment)
    found = time_range([timing_runs.process_times(run) for run in runs], measured.best, is_shared=shared)
    if name is StageName.INFERENCE and not found.calm_windows:
        found = _bounded_by_layers(found, layer_table.table(measured.layer_pass, None).lower_sum_ns)
    record_on = None
    if before is not None and before.value < found.lower_ns:
        found, record_on = replace(found, lower_ns=int(before.value)), before.seen_on
    return replace(
        stats.summarise([run.values_ns for run in runs], raised_by=_raised_by(name)),
        lower_ns=found.lower_ns,
        verdict=verdict.combine(
            [
                verdict.judge_time(found, record_on=record_on),
                verdict.judge_device(measured.environment),
                *(run.verdict for run in runs),
            ]
        ),
    )


def _bounded_by_layers(found: TimeRange, lower_sum_ns: int | None) -> TimeRange:
    """Long iterations seldom find calm: there the layers' fastest times, added up, bound the whole from below as well."""
    if lower_sum_ns is None or not found.lower_ns < lower_sum_ns <= found.upper_ns:
        return found
    return replace(found, lower_ns=lower_sum_ns)


def _least_cold(measured: Measured, timing: Sequence[TimingRun]) -> ColdProof | None:
    """Of the first loads that count, the one that had most of its files in memory: the stage is as cold as that one."""
    proofs = [proof for proof, run in zip(measured.cold, timing, strict=True) if run.chosen]
    unproven = [proof for proof in proofs if not proof.proven]
    return max(unproven or proofs, key=lambda proof: proof.resident_before_bytes or 0, default=None)


def _raised_by(name: StageName) -> str:
    """The option that asks for more values of a stage."""
    return "--max_profiler_iterations" if name is StageName.INFERENCE else "--repeats"


def _memory(measured: Measured, name: StageName) -> MemorySummary | None:
    runs = measured.memory.get(name, ())
    if not runs:
        return None
    peaks, increases = [run.peak_raw for run in runs], [run.increase_raw for run in runs]
    return MemorySummary(
        peak=stats.median_range(peaks),
        increase=stats.median_range(increases),
        spread=stats.spread(peaks, increases),
        resolution_bytes=measured.memory_resolution_bytes,
        method=measured.memory_method,
        runs=runs,
        verdict=verdict.combine([run.verdict for run in runs]),
        **(_growth(measured) if name is StageName.INFERENCE else {}),
    )


def _growth(measured: Measured) -> dict[str, Any]:
    """What many inferences left behind, or why that is not known."""
    if measured.plan is None or len(measured.held_bytes) < QUARTERS:
        return {"growth_reason": no_growth(measured.plan.growth_iterations if measured.plan else 0)}
    return {"growth": MemoryGrowth(measured.plan.growth_iterations, measured.held_bytes)}


def no_growth(begun: int) -> str:
    """Why growth is not known; ``begun``: iterations that were to be made for it."""
    if begun:
        return f"the time was up before {begun} iterations"
    way_out = f"--max_profiler_iterations {GROWTH_ITERATIONS} asks for them"
    return f"{GROWTH_ITERATIONS} iterations would take more than {show_time(GROWTH_TIME_NS)}: {way_out}"


def _files(measured: Measured, name: StageName) -> tuple[FileFact, ...]:
    """Compile: the artifact. First load: the caches that it left."""
    return measured.files.get(name, ()) if name in (StageName.COMPILE, StageName.FIRST_LOAD) else ()


def _explanation(measured: Measured, timing: Sequence[TimingRun]) -> str:
    """Why the first load differs from a warm one, in words, with the cache files and their bytes."""
    files = measured.files.get(StageName.FIRST_LOAD, ())
    listed = ", ".join(f"{file.path} ({show_bytes(file.bytes)})" for file in files[:SHOWN_CACHE_FILES])
    more = len(files) - SHOWN_CACHE_FILES
    if more > 0:
        listed += f" and {more} more"
    left = (
        f"The first load left {listed} in the cache for the warm load." if files else "The runtime left no cache files."
    )
    cold = _least_cold(measured, timing)
    if cold is None or cold.blocks_read_bytes is None:
        return left
    return f"{left} The first load read {show_bytes(cold.blocks_read_bytes)} from the disk."


def _import_cost(measured: Measured) -> ImportCost | None:
    """The import's minimum over all runs; its memory from a memory pass."""
    times = measured.import_times_ns
    if not times:
        return None
    all_memory = measured.import_memory
    shown = stats.median_range(all_memory) if all_memory else None
    return ImportCost(time_ns=min(times), memory=shown, all_times_ns=times, all_memory=all_memory)


def _first_inference(measured: Measured) -> int | None:
    """The smallest first inference over the loop's processes, in ns."""
    runs = measured.timing.get(StageName.INFERENCE, ())
    found = [run.first_ns for run in runs if run.first_ns is not None]
    return min(found, default=None)


def _notices(measured: Measured, found: Inspection, layers: LayerTable, options: Options) -> list[Notice]:
    notices = [Notice("info", "default-shape", note) for note in found.notes]
    notices += [*found.notices, *_empty(found)]
    notices += _fallbacks(layers, options.compute_units)
    notices += layer_table.notices(layers)
    negative = [
        name
        for name, runs in measured.memory.items()
        if any(min(run.peak_raw.lower, run.increase_raw.lower) < -measured.memory_resolution_bytes for run in runs)
    ]
    notices += [
        Notice("info", "negative-memory", f"{name}: memory shrank below the stage's start; shown as 0, kept raw")
        for name in negative
    ]
    edges = [edge for runs in measured.memory.values() for run in runs for edge in (run.start, run.end, run.released)]
    notices += _leaks(measured)
    unread = max((edge.unread_processes for edge in edges), default=0)
    if unread:
        text = f"memory of {unread} of the model's processes could not be read, and is missing in these figures"
        notices.append(Notice("loud", "unread-memory", text))
    return notices


def _leaks(measured: Measured) -> list[Notice]:
    """A warning where each quarter of many iterations left memory behind."""
    growth = _growth(measured).get("growth")
    return [] if growth is None or growth.is_steady else [Notice("loud", "memory-growth", leak(growth))]


def leak(growth: MemoryGrowth) -> str:
    """The sentence on memory that grows and grows."""
    return f"memory grows by {show_bytes(growth.per_thousand_bytes)} per 1,000 inferences, and without an end: a leak"


def _empty(found: Inspection) -> list[Notice]:
    """A loud notice for each input without elements: there may be next to nothing to compute."""
    return [
        Notice(
            "loud",
            "empty-input",
            f"input {spec.name!r} of shape {spec.shape_text} is empty: these figures are of a run without it",
        )
        for spec in (item.spec for item in found.inputs)
        if 0 in spec.shape
    ]


def _fallbacks(layers: LayerTable, requested: tuple[ComputeUnit, ...]) -> list[Notice]:
    """A loud notice for layers that ran elsewhere than on the first unit that was asked for."""
    if not requested or layers.reason is not None:
        return []
    elsewhere = [layer for layer in layers.layers if layer.compute_unit is not requested[0]]
    if not elsewhere:
        return []
    share = sum(layer.time_ns for layer in elsewhere) / max(1, layers.total_ns or 0)
    text = (
        f"{len(elsewhere)} of {len(layers.layers)} layers ({show_share(share)} of the time) ran on another unit than "
        f"{requested[0]}"
    )
    return [Notice("loud", "fallback", text)]
