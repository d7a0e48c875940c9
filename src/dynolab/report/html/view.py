"""What the HTML template shows, worked out: words, figures with their definitions, rows of tables. No markup."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from dynolab.report.base import (
    Say,
    clean,
    condensed,
    crop,
    device_text,
    is_fallback,
    plainly,
    ranked,
    runtime_text,
    stage_title,
    threads,
)
from dynolab.report.html.charts import BELOW_RESOLUTION, MemoryChart, load_bar, memory_chart, unit_bar
from dynolab.report.html.iterations import IterationCharts, iteration_charts
from dynolab.report.html.strip import Strip, strip
from dynolab.report.html.tables import Badge, Table, WitnessTable, tables, witnesses
from dynolab.spec.facts import Fact, UnitTotal, accelerator_fact, fact, unit_totals
from dynolab.spec.measurements import ComputeUnit, Layer, Range, StageName
from dynolab.spec.models import FileFact
from dynolab.spec.profiles import LayerTable, Profile, Stage, Trust
from dynolab.spec.requirements import trust_of
from dynolab.spec.show import Value, show_bytes, show_share, show_stepped, show_time

CHUNK = 100
"""Layers in one body of the table: a body out of sight is not laid out (``content-visibility``)."""
LONGEST_NAME = 240


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its title, the anchor of its definition, its text, and why there is none.

    ``note`` is what a reader must know beside the number.
    """

    title: str
    anchor: str
    text: str
    reason: str | None
    note: str | None = None


def figure(profile: Profile, wanted: Fact | str, title: str | None = None) -> Figure:
    """A figure of the registry as this profile has it, under a shorter title where its place says the rest."""
    found = fact(wanted) if isinstance(wanted, str) else wanted
    text = found.show(profile).replace(" - ", " – ")
    note = _note(profile, found, found.value(profile))
    return Figure(title or found.title, found.anchor, text, found.reason(profile), note)


def _note(profile: Profile, found: Fact, value: Value | None) -> str | None:
    resolution = fact("memory_resolution").value(profile)
    if isinstance(value, Range) and isinstance(resolution, int) and value.upper < resolution:
        return BELOW_RESOLUTION
    if found.key == "layer_pass_overhead" and isinstance(value, float) and value < 0:
        return "faster than the loop"
    return None


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage's card."""

    title: str
    anchor: str
    badge: Badge
    reasons: list[str]
    time: Figure
    kind: str
    """What the big figure is of its runs: ``minimum of 3 runs``."""
    memory: list[Figure]
    more: list[Figure]


@dataclass(frozen=True, slots=True)
class LoadView:
    """First and warm load side by side, what explains their difference, and the files on the disk."""

    bars: list[tuple[Figure, object]]
    explanations: list[str]
    cold: str | None
    """Whether the first load was proven cold; ``why`` says by what."""
    why: str | None
    proof: list[Figure]
    files: list[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class LayerRow:
    """One row of the layer table; ``width`` is its time in percent of the longest, for the bar."""

    number: int
    name: str
    type: str
    unit: str
    fallback: bool
    delegate: str
    time_ns: int
    time: str
    share: str
    width: int
    output_bytes: int
    output: str
    spread: str
    """Between which times four of five iterations lie, and the fastest; empty where that is not known."""


@dataclass(frozen=True, slots=True)
class LayersView:
    """The layers, heaviest first, in chunks: those that were asked for of so many; ``reason`` says why there are none."""

    chunks: list[list[LayerRow]]
    of_chunks: int
    count: int
    facts: list[Figure]
    units: list[tuple[str, str]]
    by_time: object
    by_layers: object
    note: str | None
    reason: str | None
    fallbacks: int
    basis: str | None
    """What the times are of all iterations."""
    disturbed: str | None
    """That the layers add up to too much, where they do: no bar or colour then blames any."""


@dataclass(frozen=True, slots=True)
class ProfileView:
    """All that the page shows of one profile."""

    profile: Profile
    title: str
    """The model's name; among several profiles, the label that tells this one apart."""
    label: str
    id: str
    lines: list[str]
    answer: Strip
    """What stands first."""
    stages: list[StageView]
    others: list[Figure]
    memory: MemoryChart | None
    memory_verdicts: list[tuple[str, Badge]]
    iterations: IterationCharts | None
    statistics: list[Figure]
    loads: LoadView
    layers: LayersView
    tables: list[Table]
    witnesses: list[WitnessTable]


def view(
    profile: Profile, label: str, number: int, *, many: bool, say: Say = plainly, chunks: slice = slice(None)
) -> ProfileView:
    """The view of one profile; ``number`` makes its anchors unique on the page, ``chunks`` are the bodies of its layers' table.

    Words that hold figures are said in the page's language here, titles where they stand on the page.
    """
    first = strip(profile, say)
    return ProfileView(
        profile=profile,
        title=label if many else crop(profile.model.name, LONGEST_NAME),
        label=label,
        id=f"p{number}",
        lines=[crop(profile.model.name, LONGEST_NAME), *_lines(profile, say)] if many else _lines(profile, say),
        answer=first,
        stages=[_stage(profile, stage, first.told, say) for stage in profile.stages],
        others=_others(profile),
        memory=memory_chart(profile, say),
        memory_verdicts=[
            (stage_title(stage), Badge(trust.value))
            for stage in profile.stages
            if (trust := _memory_trust(stage)) is not None
        ],
        iterations=iteration_charts(profile.inference, say),
        statistics=_statistics(profile),
        loads=_loads(profile),
        layers=layers_view(profile, say, chunks),
        tables=tables(profile, say),
        witnesses=[table for stage in profile.stages if (table := witnesses(stage, say)) is not None],
    )


_MEMORY = tuple(f"{stage}_memory_{part}_range" for stage in StageName for part in ("peak", "increase"))
COMPARED = (
    "compile_time", "first_load_time", "warm_load_time", "estimated_inference_time", "inference_time_median",
    "inference_time_p90", "iterations_per_second", "first_inference_time", "runtime_import_time", *_MEMORY,
    "process_total_peak_range", "runtime_import_memory_range", "model_size", "layer_count",
)  # fmt: skip


def comparison(profiles: Sequence[Profile]) -> list[tuple[Figure, list[tuple[Figure, Badge | None]]]]:
    """A row per figure, a cell per profile; a cell whose time or memory is not clean carries the verdict on it."""
    rows = []
    for key in COMPARED:
        cells = [(figure(profile, key), doubt(profile, fact(key))) for profile in profiles]
        rows.append((figure(profiles[0], key), cells))
    return rows


def doubt(profile: Profile, found: Fact) -> Badge | None:
    """The verdict on a figure of this profile, where it is not clean."""
    if found.stage is None or found.value(profile) is None:
        return None
    stage: Stage = getattr(profile, found.stage.value)
    trust = trust_of(stage, "time") if found.kind in ("time_ns", "rate") else _memory_trust(stage)
    return None if trust in (Trust.CLEAN, None) else Badge(trust.value)


def _memory_trust(stage: Stage) -> Trust | None:
    """The verdict on a stage's memory (measuring.md section 6): every pass enters the median, so the worst counts."""
    found = {run.verdict.trust for run in stage.memory.runs} if stage.memory is not None else set()
    return next((trust for trust in (Trust.INVALID, Trust.NOISY, Trust.CLEAN) if trust in found), None)


def _lines(profile: Profile, say: Say) -> list[str]:
    units = ", ".join(profile.runtime.requested_units)
    first = [runtime_text(profile), say("asked for {units}", units=units) if units else None, _threads(profile, say)]
    return [" · ".join(part for part in first if part), crop(device_text(profile), LONGEST_NAME)]


def _threads(profile: Profile, say: Say) -> str | None:
    known = threads(profile)
    if known is None:
        return None
    count, why = known
    if not count:
        return say("threads: {told}", told=why)
    return say("{count} thread" if count == "1" else "{count} threads", count=count) + (f" ({why})" if why else "")


def _stage(profile: Profile, stage: Stage, told: str | None, say: Say) -> StageView:
    """A stage's card; of the inference, not the reason that was told first."""
    word = stage.name.value
    reasons = [one for one in stage.verdict.reasons if one != told or stage.name is not StageName.INFERENCE]
    time = "estimated_inference_time" if word == "inference" else f"{word}_time"
    measured = stage.reason is None
    return StageView(
        title=stage_title(stage),
        anchor=fact(time).anchor,
        badge=Badge(stage.verdict.trust.value if measured else "not measured"),
        reasons=condensed(reasons, 3) if measured else [stage.reason or ""],
        time=figure(profile, time, "Time"),
        kind=_kind(stage, say),
        memory=[
            figure(profile, f"{word}_memory_peak_range", "Peak"),
            figure(profile, f"{word}_memory_increase_range", "Increase"),
        ],
        more=_more(profile, stage),
    )


def _kind(stage: Stage, say: Say) -> str:
    """What the card's figure is of its runs; of a range, what its upper end is."""
    time = stage.time
    if time is None or not time.count:
        return ""
    if time.count < 2:
        return say("one run")
    count, ranged = f"{time.count:,}", time.lower_ns is not None
    if stage.name is StageName.INFERENCE:
        return say(
            "upper end: minimum of {count} iterations" if ranged else "minimum of {count} iterations", count=count
        )
    return say("upper end: minimum of {count} runs" if ranged else "minimum of {count} runs", count=count)


def _more(profile: Profile, stage: Stage) -> list[Figure]:
    """What a card says below its main figures; only what was measured."""
    word = stage.name.value
    found = [figure(profile, f"{word}_time_median", "Median")]
    if word == "inference":
        found += [figure(profile, "first_inference_time"), figure(profile, "inference_memory_growth")]
    found += [figure(profile, accelerator_fact(stage.name, key), _title(key)) for key in stage.accelerator]
    return [item for item in found if item.reason is None]


def _title(key: str) -> str:
    """A runtime's own key as words: ``NPU allocated``."""
    words = key.removesuffix("_bytes").split("_")
    return " ".join([words[0].upper() if len(words[0]) <= 3 else words[0].capitalize(), *words[1:]])


def _others(profile: Profile) -> list[Figure]:
    keys = ("runtime_import_time", "runtime_import_memory_range", "io_memory",
            "memory_resolution", "harness_floor", "layer_pass_overhead", "profile_wall_time", "profile_work_time")  # fmt: skip
    return [figure(profile, key) for key in keys]


def _statistics(profile: Profile) -> list[Figure]:
    found = [
        figure(profile, key, title)
        for key, title in (
            ("estimated_inference_time", "Minimum"), ("inference_time_median", "Median"), ("inference_time_p90", "p90"),
            ("inference_time_p99", "p99"), ("inference_time_mad", "MAD"), ("inference_iterations", "Iterations"),
            ("iterations_per_second", "Per second"), ("first_inference_time", "First inference"),
        )
    ]  # fmt: skip
    time = profile.inference.time
    if time is not None and time.median_interval_ns is not None:
        low, high = (show_time(end) for end in time.median_interval_ns)
        found.insert(2, Figure("Median, 95 % interval", "median", f"{low} – {high}", None))
    return found


def _loads(profile: Profile) -> LoadView:
    first, warm = profile.first_load, profile.warm_load
    timed = [(key, stage.time.minimum_ns) for key, stage in (("first_load", first), ("warm_load", warm)) if stage.time]
    longest = max((ns for _, ns in timed), default=1) or 1
    written = [*_files("artifact", profile.compile.files_written), *_files("cache", first.files_written)]
    keys = (("first_load_files", "Files put out of the page cache"), ("first_load_resident_before", "Resident just before"),
            ("first_load_blocks_read", "Read from the disk"), ("first_load_major_faults", "Major faults"))  # fmt: skip
    cold = first.cold
    return LoadView(
        bars=[(figure(profile, f"{key}_time"), load_bar(ns, longest, key.replace("_", "-"))) for key, ns in timed],
        explanations=list(dict.fromkeys(stage.explanation for stage in (first, warm) if stage.explanation)),
        cold=None if cold is None else "Proven cold" if cold.proven else "Not proven cold",
        why=None if cold is None else f"{cold.reason.removesuffix('.')}.",
        proof=[] if cold is None else [figure(profile, key, title) for key, title in keys],
        files=written,
    )


def _files(kind: str, files: Sequence[FileFact]) -> Iterator[tuple[str, str, str]]:
    for file in files:
        yield kind, crop(file.path, LONGEST_NAME), show_bytes(file.bytes)


def layers_view(profile: Profile, say: Say = plainly, chunks: slice = slice(None)) -> LayersView:
    """The layers: of the table these bodies, of a hundred rows each; all else is said of all of them."""
    layers, totals = ranked(profile.layers.layers), unit_totals(profile.layers)
    starts = range(0, len(layers), CHUNK)
    rows = layer_rows(profile, [one for start in starts[chunks] for one in layers[start : start + CHUNK]])
    units = [(total.unit.value, _unit_text(profile, total, say)) for total in totals]
    return LayersView(
        chunks=[rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)],
        of_chunks=len(starts),
        count=len(layers),
        facts=[figure(profile, key) for key in ("layer_count", "layer_pass_time", "layer_pass_overhead")],
        units=units,
        by_time=unit_bar(totals, by="time", say=say),
        by_layers=unit_bar(totals, by="layers", say=say),
        note=profile.layers.note,
        reason=profile.layers.reason,
        fallbacks=sum(is_fallback(profile, layer) for _, layer in layers),
        basis=_basis(profile.layers, say),
        disturbed=_disturbed(profile.layers, say),
    )


def _basis(table: LayerTable, say: Say) -> str | None:
    if table.calm_iterations is None or not table.layers:
        return None
    count, calm = f"{table.iterations:,}", f"{table.calm_iterations:,}"
    if table.calm_iterations:
        return say("Times are medians of {calm} calm iterations of {count}.", calm=calm, count=count)
    return say("Times are the fastest of all {count} iterations: too few were calm.", count=count)


def _disturbed(table: LayerTable, say: Say) -> str | None:
    if not table.is_disturbed or table.overhead is None:
        return None
    words = "Disturbed: the layers add up to {share} more than an inference takes. Their times and shares blame nobody."
    return say(words, share=show_share(table.overhead))


def _delegates(profile: Profile, unit: ComputeUnit) -> list[str]:
    """Who ran a unit's layers inside the runtime; where it is one for each unit, the legend says it, not every row."""
    found = dict.fromkeys(layer.delegate for layer in profile.layers.layers if layer.compute_unit is unit)
    return [crop(name, 60) for name in found if name]


def _unit_text(profile: Profile, total: UnitTotal, say: Say) -> str:
    count = say("{count} layer" if total.layers == 1 else "{count} layers", count=f"{total.layers:,}")
    names = _delegates(profile, total.unit)
    by = [say("by {name}", name=names[0])] if len(names) == 1 and names[0].upper() != total.unit.value else []
    return ", ".join([count, show_time(total.time_ns), show_share(total.time_share), *by])


def layer_rows(profile: Profile, wanted: Iterable[tuple[int, Layer]]) -> list[LayerRow]:
    """Rows for some of the profile's layers, which come with their numbers."""
    times = [layer.time_ns for layer in profile.layers.layers]
    whole, longest = sum(times) or 1, max(times, default=1) or 1
    several = any(len(_delegates(profile, total.unit)) > 1 for total in unit_totals(profile.layers))
    return [
        LayerRow(
            number, crop(layer.name, LONGEST_NAME), crop(layer.type, 80), layer.compute_unit.value,
            is_fallback(profile, layer), crop(layer.delegate or "", 60) if several else "", layer.time_ns,
            show_stepped(layer.time_ns, profile.layers.resolution_ns), show_share(layer.time_ns / whole),
            round(layer.time_ns / longest * 100),
            -1 if layer.output_bytes is None else layer.output_bytes,
            "-" if layer.output_bytes is None else show_bytes(layer.output_bytes), _spread(layer),
        )
        for number, layer in wanted
    ]  # fmt: skip


def _spread(layer: Layer) -> str:
    if layer.lower_ns is None or layer.p10_ns is None or layer.p90_ns is None:
        return ""
    return f"p10–p90: {show_time(layer.p10_ns)} – {show_time(layer.p90_ns)}; ≥ {show_time(layer.lower_ns)}"


def tail(log: str, lines: int = 200) -> str:
    """The last lines of a log, safe to show."""
    return clean("\n".join(log.splitlines()[-lines:]))
