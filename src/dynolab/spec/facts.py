"""Every figure that dynolab reports: what it is called, what it means, where it stands in a profile, how it is shown.

The definitions are those of ``measuring.md`` in short. A report takes a figure from here and links to its definition.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from dynolab.spec.glossary import DEFINITIONS, Definition
from dynolab.spec.measurements import ComputeUnit, Range, StageName
from dynolab.spec.profiles import LayerTable, MemoryRun, MemorySummary, Profile, Stage, Sustained, TimeSummary
from dynolab.spec.show import Kind, Value, show, show_joules, show_time_range

NOT_MEASURED = "not measured"

STAGE_TITLES: dict[StageName, str] = {
    StageName.COMPILE: "Compile",
    StageName.FIRST_LOAD: "First load",
    StageName.WARM_LOAD: "Warm load",
    StageName.INFERENCE: "Inference",
}


@dataclass(frozen=True, slots=True)
class Fact:
    """One figure. ``key`` is AI Hub's where it has one; ``aliases`` are other names that a requirement may use."""

    key: str
    title: str
    kind: Kind
    definition: Definition
    get: Callable[[Profile], Value | None]
    why: Callable[[Profile], str | None]
    aliases: tuple[str, ...] = ()
    stage: StageName | None = None
    """The stage whose verdict tells whether the figure can be trusted, if there is one."""
    repeats: Callable[[Profile], Sequence[Range]] | None = None
    """Of a figure of memory: what each process showed, raw; empty in profiles of versions that kept one."""
    lower: Callable[[Profile], int | None] | None = None
    """Of a time that is a range, whose upper end is the value: the lower one; None in profiles of schema 1."""
    margin: Callable[[Profile], float | None] | None = None
    """Of a figure that is told with its uncertainty: what the value may be off by, either way."""

    @property
    def anchor(self) -> str:
        """The glossary entry that defines the figure; figures of one kind share it."""
        return self.definition.anchor

    def value(self, profile: Profile) -> Value | None:
        """The figure in ns, bytes or plain numbers; None when it was not measured."""
        return self.get(profile)

    def reason(self, profile: Profile) -> str | None:
        """Why there is no value; None when there is one."""
        return None if self.get(profile) is not None else self.why(profile) or NOT_MEASURED

    def show(self, profile: Profile) -> str:
        """The value with its unit as people read it, ``-`` when there is none."""
        value = self.get(profile)
        lower = self.lower(profile) if self.lower else None
        if lower is not None and isinstance(value, int):
            return show_time_range(lower, value)
        margin = self.margin(profile) if self.margin else None
        if margin is not None and self.kind == "joules" and isinstance(value, float):
            return show_joules(value, margin)
        return "-" if value is None else show(self.kind, value)


# ---- what the layers add up to --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class UnitTotal:
    """One compute unit's layers: their number, their time in ns, and both as shares of the whole."""

    unit: ComputeUnit
    layers: int
    time_ns: int
    layer_share: float
    time_share: float


def unit_totals(table: LayerTable) -> list[UnitTotal]:
    """The units that ran layers, most time first; empty when there are no layers."""
    whole = sum(layer.time_ns for layer in table.layers) or 1
    totals = []
    for unit in ComputeUnit:
        times = [layer.time_ns for layer in table.layers if layer.compute_unit is unit]
        if times:
            share = len(times) / len(table.layers)
            totals.append(UnitTotal(unit, len(times), sum(times), share, sum(times) / whole))
    return sorted(totals, key=lambda total: -total.time_ns)


# ---- the registry ---------------------------------------------------------------------------------------------------

_Get = Callable[[Profile], Value | None]
_Why = Callable[[Profile], str | None]
_Repeats = Callable[[Profile], Sequence[Range]]


def _stage(profile: Profile, name: StageName) -> Stage:
    stage: Stage = getattr(profile, name.value)
    return stage


def _plain(
    key: str,
    title: str,
    kind: Kind,
    anchor: str,
    get: _Get,
    *aliases: str,
    why: _Why = lambda profile: None,
    stage: StageName | None = None,
    repeats: _Repeats | None = None,
    lower: Callable[[Profile], int | None] | None = None,
) -> Fact:
    return Fact(key, title, kind, DEFINITIONS[anchor], get, why, aliases, stage, repeats, lower)


def _timed(
    key: str,
    title: str,
    anchor: str,
    name: StageName,
    part: Callable[[TimeSummary], Value | None],
    *aliases: str,
    kind: Kind = "time_ns",
    missing: Callable[[TimeSummary], str | None] = lambda summary: None,
    lower: Callable[[TimeSummary], int | None] | None = None,
) -> Fact:
    """A figure of a stage's time summary; ``missing`` tells why the summary itself lacks it."""

    def least(profile: Profile) -> int | None:
        summary = _stage(profile, name).time
        return None if summary is None or lower is None else lower(summary)

    def get(profile: Profile) -> Value | None:
        summary = _stage(profile, name).time
        return None if summary is None else part(summary)

    def why(profile: Profile) -> str | None:
        stage = _stage(profile, name)
        return stage.reason or stage.time_reason if stage.time is None else missing(stage.time)

    return _plain(key, title, kind, anchor, get, *aliases, why=why, stage=name, lower=least if lower else None)


def _held(
    key: str,
    title: str,
    anchor: str,
    name: StageName,
    part: Callable[[MemorySummary], Value | None],
    *aliases: str,
    kind: Kind = "range",
    ends: Callable[[MemoryRun], Range] | None = None,
) -> Fact:
    """A figure of a stage's memory summary; ``ends`` finds it in one of its processes."""

    def repeats(profile: Profile) -> Sequence[Range]:
        summary = _stage(profile, name).memory
        return [] if summary is None or ends is None else [ends(run) for run in summary.runs]

    def get(profile: Profile) -> Value | None:
        summary = _stage(profile, name).memory
        return None if summary is None else part(summary)

    def why(profile: Profile) -> str | None:
        stage = _stage(profile, name)
        return stage.reason or stage.memory_reason

    return _plain(key, title, kind, anchor, get, *aliases, why=why, stage=name, repeats=repeats if ends else None)


def _upper(both: Range) -> Range:
    return Range(both.upper, both.upper)


def _stage_facts(name: StageName) -> list[Fact]:
    title, word = STAGE_TITLES[name], name.value
    infer = name is StageName.INFERENCE
    hub = "estimated_inference" if infer else word  # AI Hub's older keys of this stage begin so
    short = ("inference_time", "inference_peak_memory") if infer else ()
    return [
        _timed(
            f"{hub}_time", f"{title} time", word, name, lambda s: s.minimum_ns, *short[:1], lower=lambda s: s.lower_ns
        ),
        _timed(f"{word}_time_median", f"Median {title.lower()} time", "median", name, lambda s: s.median_ns),
        _timed(f"{word}_time_mad", f"{title} time MAD", "mad", name, lambda s: s.mad_ns),
        _held(
            f"{word}_memory_peak_range",
            f"{title} memory peak",
            "peak",
            name,
            lambda s: s.peak,
            f"{word}_memory_peak",
            ends=lambda run: run.peak_raw,
        ),
        _held(
            f"{word}_memory_increase_range",
            f"{title} memory increase",
            "increase",
            name,
            lambda s: s.increase,
            f"{word}_memory_increase",
            ends=lambda run: run.increase_raw,
        ),
        _held(
            f"{hub}_peak_memory",
            f"{title} peak memory",
            "peak_memory",
            name,
            lambda s: s.peak.upper,
            *short[1:],
            kind="bytes",
            ends=lambda run: _upper(run.peak_raw),
        ),
    ]


def _inference_facts() -> list[Fact]:
    def too_few(summary: TimeSummary) -> str:
        return f"{summary.count} values are too few"

    def p99_reason(summary: TimeSummary) -> str:
        return summary.p99_reason or too_few(summary)

    def no_first(profile: Profile) -> str | None:
        return profile.inference.reason or profile.inference.time_reason

    def growth(profile: Profile) -> Value | None:
        memory = profile.inference.memory
        return None if memory is None or memory.growth is None else memory.growth.per_thousand_bytes

    def no_growth(profile: Profile) -> str | None:
        memory = profile.inference.memory
        return profile.inference.memory_reason if memory is None else memory.growth_reason

    name = StageName.INFERENCE
    first = "first_inference_time"
    return [
        _timed("inference_time_p90", "Inference time p90", "percentiles", name, lambda s: s.p90_ns, missing=too_few),
        _timed("inference_time_p99", "Inference time p99", "percentiles", name, lambda s: s.p99_ns, missing=p99_reason),
        _timed(
            "iterations_per_second", "Iterations per second", "throughput", name, lambda s: s.per_second, kind="rate"
        ),
        _timed("inference_iterations", "Iterations", "iterations", name, lambda s: s.count, kind="count"),
        _plain(
            first,
            "First inference",
            "time_ns",
            "first_inference",
            lambda p: p.first_inference_ns,
            why=no_first,
            stage=name,
        ),
        _held(
            "io_memory",
            "Input and output memory",
            "io",
            name,
            lambda s: s.runs[0].io_bytes if s.runs else None,
            kind="bytes",
        ),
        _plain("inference_memory_growth", "Memory growth per 1,000 iterations", "bytes", "growth", growth, "memory_growth",
               why=no_growth, stage=name),
    ]  # fmt: skip


def _process_facts() -> list[Fact]:
    def import_time(profile: Profile) -> Value | None:
        return None if profile.runtime_import is None else profile.runtime_import.time_ns

    def import_memory(profile: Profile) -> Value | None:
        return None if profile.runtime_import is None else profile.runtime_import.memory

    def resolution(profile: Profile) -> Value | None:
        return max(
            (stage.memory.resolution_bytes for stage in profile.stages if stage.memory is not None), default=None
        )

    def imports(profile: Profile) -> Sequence[Range]:
        return [] if profile.runtime_import is None else profile.runtime_import.all_memory

    def whole_ways(profile: Profile) -> Sequence[Range]:
        total = profile.process_total
        return [] if total is None else [run.peak_raw for run in total.worse]

    library, total = "runtime_import", "process_total_peak"
    return [
        _plain(f"{total}_range", "Process total peak", "range", "process_total", lambda p: p.process_total_peak, total,
               why=lambda p: p.process_total_reason, repeats=whole_ways),
        _plain(f"{library}_time", "Runtime import time", "time_ns", library, import_time),
        _plain(f"{library}_memory_range", "Runtime import memory", "range", library, import_memory, f"{library}_memory",
               repeats=imports),
        _plain("memory_resolution", "Memory resolution", "bytes", "resolution", resolution),
        _plain("harness_floor", "Harness floor", "time_ns", "harness_floor", lambda p: p.harness_floor_ns),
        _plain("profile_wall_time", "Wall time of the profile", "time_ns", "effort", lambda p: p.wall_ns),
        _plain("profile_work_time", "Work inside the processes", "time_ns", "effort", lambda p: p.work_ns),
    ]  # fmt: skip


def _energy_facts() -> list[Fact]:
    def told(field: str) -> Callable[[Profile], float | None]:
        return lambda p: None if p.energy is None else getattr(p.energy, field)

    def why(profile: Profile) -> str | None:
        return "this version read no sensor" if profile.energy is None else profile.energy.reason

    rows = [
        _plain("inference_energy", "Energy per inference", "joules", "energy", told("joules"), "energy", why=why),
        _plain("inference_power", "Power while the model runs", "watts", "energy", told("loop_watts"), why=why),
        _plain("idle_power", "Idle power", "watts", "energy", told("idle_watts"), why=why),
    ]
    return [replace(rows[0], margin=told("uncertainty_joules")), *rows[1:]]


def _file_facts() -> list[Fact]:
    def written(name: StageName) -> _Get:
        def get(profile: Profile) -> Value | None:
            stage = _stage(profile, name)
            return None if stage.reason else sum(file.bytes for file in stage.files_written)

        return get

    def cold(field: str) -> _Get:
        return lambda p: None if p.first_load.cold is None else getattr(p.first_load.cold, field)

    def no_cold(profile: Profile) -> str | None:
        return profile.first_load.reason or "the system does not tell"

    load = StageName.FIRST_LOAD
    rows: list[tuple[str, str, Kind, str]] = [
        ("files", "Files of the first load", "bytes", "total_bytes"),
        ("resident_before", "Still resident before the first load", "bytes", "resident_before_bytes"),
        ("blocks_read", "Read from the disk in the first load", "bytes", "blocks_read_bytes"),
        ("major_faults", "Major faults in the first load", "count", "major_faults"),
    ]
    return [
        _plain("artifact_size", "Compiled artifact", "bytes", "files", written(StageName.COMPILE),
               why=lambda p: p.compile.reason),
        _plain("cache_size", "Cache files", "bytes", "files", written(load), why=lambda p: p.first_load.reason),
        *(_plain(f"first_load_{key}", title, kind, "cold", cold(field), why=no_cold)
          for key, title, kind, field in rows),
    ]  # fmt: skip


def _sustained_facts() -> list[Fact]:
    def told(get: Callable[[Sustained], Value | None]) -> _Get:
        return lambda p: None if p.sustained is None else get(p.sustained)

    def why(profile: Profile) -> str | None:
        if profile.sustained is not None:
            return profile.sustained.explanation
        return profile.sustained_reason or "no sustained run was asked for: --sustained 10m"

    rows: list[tuple[str, str, Kind, Callable[[Sustained], Value | None]]] = [
        ("sustained_inference_time", "Sustained inference time", "time_ns", lambda s: s.steady.median_ns),
        ("sustained_first_time", "Inference time at first", "time_ns", lambda s: s.first.median_ns),
        ("sustained_slowdown", "Steady state over the beginning", "ratio", lambda s: s.ratio - 1),
        ("time_to_slowdown", "Time to slowdown", "time_ns", lambda s: s.slowed_after_ns),
        ("time_to_throttle", "Time to throttle", "time_ns", lambda s: s.throttled_after_ns),
    ]
    return [_plain(key, title, kind, "sustained", told(get), why=why) for key, title, kind, get in rows]


def _layer_facts() -> list[Fact]:
    def unit_part(unit: ComputeUnit, part: str) -> _Get:
        def get(profile: Profile) -> Value | None:
            if not profile.layers.layers:
                return None
            found = [getattr(total, part) for total in unit_totals(profile.layers) if total.unit is unit]
            return found[0] if found else 0

        return get

    def why(profile: Profile) -> str | None:
        return profile.layers.reason

    parts: list[tuple[str, str, Kind]] = [
        ("layers", "layers", "count"),
        ("layer_share", "share of layers", "ratio"),
        ("time_share", "share of layer time", "ratio"),
    ]
    over = "layer_pass_overhead"
    return [
        _plain("layer_count", "Layers", "count", "layers", lambda p: len(p.layers.layers) or None, why=why),
        _plain("layer_pass_time", "Layer pass total", "time_ns", "layers", lambda p: p.layers.total_ns,
               why=why),
        _plain(over, "Layer pass overhead", "ratio", "layer_overhead", lambda p: p.layers.overhead, why=why),
        *(_plain(f"{unit.lower()}_{part}", f"{unit} {title}", kind, "layers", unit_part(unit, part), why=why)
          for unit in ComputeUnit for part, title, kind in parts),
    ]  # fmt: skip


def _model_facts() -> list[Fact]:
    def told(field: str) -> tuple[_Get, _Why]:
        return lambda p: getattr(p.model, field), lambda p: (p.model.unknown or {}).get(field)

    rows: list[tuple[str, str, Kind, str]] = [
        ("model_size", "Model file", "bytes", "file_bytes"),
        ("model_parameters", "Parameters", "count", "parameters"),
        ("model_multiply_accumulates", "Multiply-accumulates", "count", "multiply_accumulates"),
    ]
    return [
        _plain(key, title, kind, "model", told(field)[0], why=told(field)[1]) for key, title, kind, field in rows
    ]  # fmt: skip


FACTS: tuple[Fact, ...] = (
    *(fact for name in StageName for fact in _stage_facts(name)),
    *_inference_facts(),
    *_process_facts(),
    *_energy_facts(),
    *_file_facts(),
    *_layer_facts(),
    *_sustained_facts(),
    *_model_facts(),
)
"""Every figure but accelerator memory, whose keys are the runtimes' own: see :func:`find`."""

_BY_NAME = {name: fact for fact in FACTS for name in (fact.key, *fact.aliases)}
_ACCELERATOR = re.compile(rf"({'|'.join(StageName)})_accelerator_(\w+)")


def find(key: str) -> Fact | None:
    """The figure of that key or alias, or None.

    One end of a range goes by the range's name and the end's: ``process_total_peak.upper``. Accelerator memory goes by
    stage and the runtime's own key: ``inference_accelerator_cuda_allocated_bytes``.
    """
    name, dot, end = key.rpartition(".")
    if dot:
        whole = _BY_NAME.get(name)
        return _end(whole, end) if whole is not None and whole.kind == "range" and end in RANGE_ENDS else None
    found = _ACCELERATOR.fullmatch(key)
    return accelerator_fact(StageName(found[1]), found[2]) if found else _BY_NAME.get(key)


RANGE_ENDS = ("lower", "upper")
"""The ends of a range by the names that they have in a profile document."""


def _end(whole: Fact, end: str) -> Fact:
    """One end of a range as a figure of its own."""

    def get(profile: Profile) -> Value | None:
        value = whole.value(profile)
        return getattr(value, end) if isinstance(value, Range) else None

    def repeats(profile: Profile) -> Sequence[Range]:
        return [Range(*[getattr(both, end)] * 2) for both in (whole.repeats(profile) if whole.repeats else ())]

    title = f"{whole.title}, {end} end"
    return Fact(f"{whole.key}.{end}", title, "bytes", whole.definition, get, whole.why, (), whole.stage, repeats)


def fact(key: str) -> Fact:
    """The figure of a key that is known to be there (KeyError otherwise): for code, not for what users typed."""
    return _BY_NAME[key]


def names() -> list[str]:
    """Every key and alias, sorted."""
    return sorted(_BY_NAME)


def accelerator_fact(name: StageName, word: str) -> Fact:
    """The figure of one accelerator reading, such as ``cuda_allocated_bytes``, in one stage."""

    def why(profile: Profile) -> str | None:
        return _stage(profile, name).reason or f"the runtime told no {word} in this stage"

    title = f"{STAGE_TITLES[name]}, {word.removesuffix('_bytes').replace('_', ' ')}"
    key = f"{name.value}_accelerator_{word}"
    return _plain(
        key, title, "bytes", "accelerator", lambda p: _stage(p, name).accelerator.get(word), why=why, stage=name
    )


def of(profile: Profile) -> list[Fact]:
    """Every figure that this profile could hold: the registry, and the accelerator memory that it tells."""
    extra = [accelerator_fact(stage.name, word) for stage in profile.stages for word in stage.accelerator]
    return [*FACTS, *extra]
