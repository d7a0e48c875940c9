"""What the HTML template shows, worked out: words, figures with their definitions, rows of tables. No markup."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache

from dynolab import plugins
from dynolab.errors import NotFound
from dynolab.measure.readings.base import Reading
from dynolab.report.base import (
    clean,
    crop,
    device_text,
    is_fallback,
    ranked,
    runtime_text,
    stage_title,
    threads_text,
)
from dynolab.report.html.charts import IterationCharts, MemoryChart, iteration_charts, load_bar, memory_chart, unit_bar
from dynolab.spec.facts import Fact, accelerator_fact, fact, unit_totals
from dynolab.spec.models import FileFact
from dynolab.spec.profiles import MemoryRun, Profile, Stage, TimingRun, Trust, Witnesses
from dynolab.spec.requirements import Decision, Outcome, decide_all
from dynolab.spec.show import show_bytes, show_count, show_reading, show_share, show_time

CHUNK = 100
"""Layers in one body of the table: a body out of sight is not laid out (``content-visibility``)."""
LONGEST_NAME = 240
_SIGNS = {
    "clean": "✓",
    "noisy": "≈",
    "invalid": "✕",
    "not measured": "–",
    "met": "✓",
    "not met": "✕",
    "cannot tell": "?",
}


@dataclass(frozen=True, slots=True)
class Badge:
    """A verdict or decision: a word, a sign that tells it without colour, and the name of its style."""

    word: str

    @property
    def sign(self) -> str:
        return _SIGNS[self.word]

    @property
    def style(self) -> str:
        return self.word.replace(" ", "-")


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure: its title, the anchor of its definition, its text, and why there is none."""

    title: str
    anchor: str
    text: str
    reason: str | None


def figure(profile: Profile, wanted: Fact | str, title: str | None = None) -> Figure:
    """A figure of the registry as this profile has it, under a shorter title where its place says the rest."""
    found = fact(wanted) if isinstance(wanted, str) else wanted
    return Figure(title or found.title, found.anchor, found.show(profile).replace(" - ", " – "), found.reason(profile))


@dataclass(frozen=True, slots=True)
class StageView:
    """A stage's card."""

    title: str
    anchor: str
    badge: Badge
    reasons: tuple[str, ...]
    time: Figure
    memory: list[Figure]
    more: list[Figure]


@dataclass(frozen=True, slots=True)
class LoadView:
    """First and warm load side by side, what explains their difference, and the files on the disk."""

    bars: list[tuple[Figure, object]]
    explanations: list[str]
    cold: str | None
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


@dataclass(frozen=True, slots=True)
class LayersView:
    """The layers, heaviest first, in chunks; ``reason`` says why there are none."""

    chunks: list[list[LayerRow]]
    count: int
    facts: list[Figure]
    units: list[tuple[str, str, str, str]]
    by_time: object
    by_layers: object
    note: str | None
    reason: str | None
    fallbacks: int


@dataclass(frozen=True, slots=True)
class WitnessTable:
    """Readings of one stage's runs: a head per run, a row per reading with its meaning, and what was not to be had."""

    title: str
    heads: list[tuple[str, Badge]]
    rows: list[tuple[str, str, list[str]]]
    unavailable: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class ProfileView:
    """All that the page shows of one profile."""

    profile: Profile
    label: str
    id: str
    lines: list[str]
    stages: list[StageView]
    decisions: list[tuple[Badge, Decision]]
    others: list[Figure]
    memory: MemoryChart | None
    iterations: IterationCharts | None
    statistics: list[Figure]
    loads: LoadView
    layers: LayersView
    tables: list[tuple[str, list[tuple[str, str]]]]
    witnesses: list[WitnessTable]


def view(profile: Profile, label: str, number: int) -> ProfileView:
    """The view of one profile; ``number`` makes its anchors unique on the page."""
    return ProfileView(
        profile=profile,
        label=label,
        id=f"p{number}",
        lines=_lines(profile),
        stages=[_stage(profile, stage) for stage in profile.stages],
        decisions=[(Badge(decision.outcome.value), decision) for decision in decide_all(profile)],
        others=_others(profile),
        memory=memory_chart(profile),
        iterations=iteration_charts(profile.inference),
        statistics=_statistics(profile),
        loads=_loads(profile),
        layers=_layers(profile),
        tables=_tables(profile),
        witnesses=[table for stage in profile.stages if (table := _witnesses(stage)) is not None],
    )


COMPARED = (
    "compile_time", "first_load_time", "warm_load_time", "estimated_inference_time", "inference_time_median",
    "iterations_per_second", "first_inference_time", "compile_memory_peak_range", "first_load_memory_peak_range",
    "warm_load_memory_peak_range", "inference_memory_peak_range", "inference_memory_increase_range",
    "process_total_peak_range", "runtime_import_time", "model_size", "layer_count",
)  # fmt: skip


def comparison(profiles: Sequence[Profile]) -> list[tuple[Figure, list[tuple[Figure, Badge | None]]]]:
    """A row per figure, a cell per profile; a cell of a stage that is not clean carries its verdict."""
    rows = []
    for key in COMPARED:
        cells = [(figure(profile, key), _doubt(profile, fact(key))) for profile in profiles]
        rows.append((figure(profiles[0], key), cells))
    return rows


def _doubt(profile: Profile, found: Fact) -> Badge | None:
    if found.stage is None or found.value(profile) is None:
        return None
    stage: Stage = getattr(profile, found.stage.value)
    return None if stage.verdict.trust is Trust.CLEAN else Badge(stage.verdict.trust.value)


def _lines(profile: Profile) -> list[str]:
    units = ", ".join(profile.runtime.requested_units)
    first = [runtime_text(profile), f"asked for {units}" if units else None, threads_text(profile)]
    return [" · ".join(part for part in first if part), crop(device_text(profile), LONGEST_NAME)]


def _stage(profile: Profile, stage: Stage) -> StageView:
    word = stage.name.value
    time = "estimated_inference_time" if word == "inference" else f"{word}_time"
    measured = stage.reason is None
    return StageView(
        title=stage_title(stage),
        anchor=fact(time).anchor,
        badge=Badge(stage.verdict.trust.value if measured else "not measured"),
        reasons=stage.verdict.reasons if measured else (stage.reason or "",),
        time=figure(profile, time, "Time"),
        memory=[
            figure(profile, f"{word}_memory_peak_range", "Peak"),
            figure(profile, f"{word}_memory_increase_range", "Increase"),
        ],
        more=_more(profile, stage),
    )


def _more(profile: Profile, stage: Stage) -> list[Figure]:
    """What a card says below its main figures; only what was measured."""
    word = stage.name.value
    found = [figure(profile, f"{word}_time_median", "Median")]
    found += [figure(profile, "first_inference_time")] if word == "inference" else []
    found += [figure(profile, accelerator_fact(stage.name, key), _title(key)) for key in stage.accelerator]
    return [item for item in found if item.reason is None]


def _title(key: str) -> str:
    """A runtime's own key as words: ``NPU allocated``."""
    words = key.removesuffix("_bytes").split("_")
    return " ".join([words[0].upper() if len(words[0]) <= 3 else words[0].capitalize(), *words[1:]])


def _others(profile: Profile) -> list[Figure]:
    keys = ("process_total_peak_range", "runtime_import_time", "runtime_import_memory_range", "io_memory",
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
    keys = (("first_load_files", "Files to load"), ("first_load_resident_before", "Resident just before"),
            ("first_load_blocks_read", "Read from the disk"), ("first_load_major_faults", "Major faults"))  # fmt: skip
    cold = first.cold
    return LoadView(
        bars=[(figure(profile, f"{key}_time"), load_bar(ns, longest, key.replace("_", "-"))) for key, ns in timed],
        explanations=list(dict.fromkeys(stage.explanation for stage in (first, warm) if stage.explanation)),
        cold=None if cold is None else f"{'Proven cold' if cold.proven else 'Not proven cold'}: {cold.reason}",
        proof=[] if cold is None else [figure(profile, key, title) for key, title in keys],
        files=written,
    )


def _files(kind: str, files: Sequence[FileFact]) -> Iterator[tuple[str, str, str]]:
    for file in files:
        yield kind, crop(file.path, LONGEST_NAME), show_bytes(file.bytes)


def _layers(profile: Profile) -> LayersView:
    rows, totals = list(_layer_rows(profile)), unit_totals(profile.layers)
    units = [
        (total.unit.value, f"{total.layers:,}", show_time(total.time_ns), show_share(total.time_share))
        for total in totals
    ]
    return LayersView(
        chunks=[rows[start : start + CHUNK] for start in range(0, len(rows), CHUNK)],
        count=len(rows),
        facts=[figure(profile, key) for key in ("layer_count", "layer_pass_time", "layer_pass_overhead")],
        units=units,
        by_time=unit_bar(totals, by="time"),
        by_layers=unit_bar(totals, by="layers"),
        note=profile.layers.note,
        reason=profile.layers.reason,
        fallbacks=sum(row.fallback for row in rows),
    )


def _layer_rows(profile: Profile) -> Iterator[LayerRow]:
    layers = profile.layers.layers
    whole, longest = (
        sum(layer.time_ns for layer in layers) or 1,
        max((layer.time_ns for layer in layers), default=1) or 1,
    )
    several = len({layer.delegate for layer in layers}) > 1
    for number, layer in ranked(layers):
        yield LayerRow(
            number, crop(layer.name, LONGEST_NAME), crop(layer.type, 80), layer.compute_unit.value,
            is_fallback(profile, layer), crop(layer.delegate or "", 60) if several else "", layer.time_ns,
            show_time(layer.time_ns), show_share(layer.time_ns / whole), round(layer.time_ns / longest * 100),
            -1 if layer.output_bytes is None else layer.output_bytes,
            "-" if layer.output_bytes is None else show_bytes(layer.output_bytes),
        )  # fmt: skip


def _tables(profile: Profile) -> list[tuple[str, list[tuple[str, str]]]]:
    """Configuration and surroundings as tables of names and values; an empty one is left out."""
    tables = [
        ("Asked for", _request(profile)),
        ("In effect", [*profile.runtime.versions.items(), *profile.runtime.effective.items()]),
        ("Plan", _plan(profile)),
        ("Model", _model(profile)),
        ("Inputs and outputs", _tensors(profile)),
        ("Device", _device(profile)),
        ("Environment", list(profile.environment.items())),
        ("What the stages mean here", _row(profile)),
    ]
    return [(title, [(key, crop(value, 2000)) for key, value in rows]) for title, rows in tables if rows]


def _request(profile: Profile) -> list[tuple[str, str]]:
    asked = profile.request
    rows: list[tuple[str, object]] = [
        ("model", asked.model),
        ("runtime", asked.runtime),
        ("options", asked.options or "none"),
        ("repeats", asked.repeats),
        ("seed", asked.seed),
        ("time limit", None if asked.timeout_s is None else show_time(asked.timeout_s * 1e9)),
        ("memory limit", None if asked.memory_limit_bytes is None else show_bytes(asked.memory_limit_bytes)),
        *((f"shape of {name}", list(shape)) for name, shape in asked.input_shapes.items()),
        *((f"range of {name}", list(range_)) for name, range_ in asked.input_ranges.items()),
        *((f"file of {name}", path) for name, path in asked.input_files.items()),
    ]
    return [(key, str(value)) for key, value in rows if value is not None]


def _plan(profile: Profile) -> list[tuple[str, str]]:
    plan = profile.plan
    rows = [(f"timing runs, {name}", str(count)) for name, count in plan.timing_runs.items()]
    rows += [(f"memory runs, {name}", str(count)) for name, count in plan.memory_runs.items()]
    rows += [("layer iterations", str(plan.layer_iterations)), ("iterations at most", str(plan.max_iterations))]
    rows += [("loop time at most", show_time(plan.max_time_s * 1e9))]
    return rows + ([("memory limit by", plan.memory_limit_method)] if plan.memory_limit_method else [])


def _model(profile: Profile) -> list[tuple[str, str]]:
    model, unknown = profile.model, profile.model.unknown or {}
    told: list[tuple[str, str | None]] = [
        ("format", model.format.value),
        ("schema", model.schema),
        ("size", show_bytes(model.file_bytes)),
        ("parameters", None if model.parameters is None else show_count(model.parameters)),
        ("bytes of parameters", None if model.parameter_bytes is None else show_bytes(model.parameter_bytes)),
        ("precision", model.precision),
        ("operators", None if model.operators is None else show_count(model.operators)),
        (
            "multiply-accumulates",
            None if model.multiply_accumulates is None else show_count(model.multiply_accumulates),
        ),
        ("producer", model.producer),
        ("sha256", model.sha256),
    ]
    fields = {"bytes of parameters": "parameter_bytes", "multiply-accumulates": "multiply_accumulates"}
    return [
        (key, value if value is not None else f"- ({unknown.get(fields.get(key, key), 'not told')})")
        for key, value in told
    ]


def _tensors(profile: Profile) -> list[tuple[str, str]]:
    rows = [
        (f"{kind} {tensor.spec.name}", f"{tensor.spec.dtype} {tensor.spec.shape_text}, {tensor.source}")
        for kind, tensors in (("input", profile.inputs), ("output", profile.outputs))
        for tensor in tensors
    ]
    return rows


def _device(profile: Profile) -> list[tuple[str, str]]:
    device = profile.device
    rows: Mapping[str, str | None] = {
        "name": device.name,
        "system": f"{device.os} {device.os_version}",
        "kernel": device.kernel,
        "architecture": device.architecture,
        "processor": device.processor,
        "cores": str(device.cores),
        "memory": None if device.memory_bytes is None else show_bytes(device.memory_bytes),
        "page": show_bytes(device.page_bytes),
        "accelerators": ", ".join(device.accelerators) or "none",
        **device.attributes,
    }
    return [(key, value or "-") for key, value in rows.items()]


def _row(profile: Profile) -> list[tuple[str, str]]:
    row = profile.runtime.row
    return [
        ("compile's artifact", row.artifact or "none"),
        ("wiped before the first load", row.wiped),
        ("lazy", row.lazy),
    ]


# ---- witnesses ------------------------------------------------------------------------------------------------------


def _witnesses(stage: Stage) -> WitnessTable | None:
    passes: list[tuple[str, TimingRun | MemoryRun]] = [(_run_title(run), run) for run in stage.timing_runs]
    passes += [(f"memory {run.process}", run) for run in (stage.memory.runs if stage.memory is not None else ())]
    if not passes:
        return None
    names = dict.fromkeys(name for _, run in passes for name in _names(run.witnesses))
    rows = [(name, _meaning(name), [_reading(run.witnesses, name) for _, run in passes]) for name in names]
    missing: dict[str, str] = {}
    for _, run in passes:
        missing.update(run.witnesses.unavailable)
    rows.insert(0, ("wall", "how long the pass took", [show_time(run.witnesses.wall_ns) for _, run in passes]))
    heads = [(title, Badge(run.verdict.trust.value)) for title, run in passes]
    return WitnessTable(stage_title(stage), heads, rows, sorted(missing.items()))


def _run_title(run: TimingRun) -> str:
    tries = "" if run.attempt == 1 and run.chosen else f", try {run.attempt}{'' if run.chosen else ' (left out)'}"
    return f"timing {run.process}{tries}"


def _names(witnesses: Witnesses) -> Iterator[str]:
    yield from witnesses.grown
    yield from (name for name in witnesses.before if name not in witnesses.grown)


def _reading(witnesses: Witnesses, name: str) -> str:
    """How much a counter grew, or a gauge before and after; once when both read the same."""
    if name in witnesses.grown:
        return show_reading(name, witnesses.grown[name])
    ends = [show_reading(name, side[name]) for side in (witnesses.before, witnesses.after) if name in side]
    return " → ".join(dict.fromkeys(ends)) or "-"


@cache
def _meaning(name: str) -> str:
    """What a reading's plug-in says of one of its values; empty for one that this version does not know."""
    reading, _, field = name.partition(".")
    try:
        plugin = plugins.load("dynolab.measure.readings", reading)
    except NotFound:
        return ""
    known = plugin.fields.get(field) if isinstance(plugin, Reading) else None
    return "" if known is None else known.text


def tail(log: str, lines: int = 200) -> str:
    """The last lines of a log, safe to show."""
    return clean("\n".join(log.splitlines()[-lines:]))


def summary_badges(views: Sequence[ProfileView]) -> dict[Outcome, int]:
    """How many requirements came out how, over all profiles."""
    outcomes = [decision.outcome for shown in views for _, decision in shown.decisions]
    return {outcome: outcomes.count(outcome) for outcome in Outcome if outcome in outcomes}
