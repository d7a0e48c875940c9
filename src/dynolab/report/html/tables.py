"""The tables of the HTML report: what was asked for and in effect, where it ran, and what the witnesses read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache

from dynolab import plugins
from dynolab.measure.readings.base import Reading
from dynolab.report._answer import ASSUMED
from dynolab.report.base import Say, crop, plainly, stage_title
from dynolab.report.html.settings import kernel, settings
from dynolab.spec.devices import DeviceFacts
from dynolab.spec.measurements import Witnesses
from dynolab.spec.profiles import MemoryRun, Profile, Stage, TimingRun
from dynolab.spec.show import show_bytes, show_count, show_joules, show_reading, show_time, show_watts

READINGS = "dynolab.measure.readings"
ROWS_MOST = 300
"""Of readings in a table that has a column for each run; ours have some dozens."""
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
class WitnessTable:
    """Readings of one stage's runs: a head per run, a row per reading with its meaning, and what was not to be had."""

    title: str
    heads: list[tuple[str, Badge]]
    rows: list[tuple[str, str, list[str]]]
    reasons: list[tuple[str, str]]
    """Why a run is not clean: its title and its reasons."""
    unavailable: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Table:
    """Names and values under a title; ``note`` says what they cannot."""

    title: str
    rows: list[tuple[str, str]]
    note: str | None = None
    sentences: tuple[str, ...] = ()
    """What is to be said below, as the profile has it, in English."""


def tables(profile: Profile, say: Say = plainly) -> list[Table]:
    """Configuration and surroundings as tables of names and values; an empty one is left out."""
    tables = [
        _table("Asked for", _request(profile, say)),
        _table(
            "In effect",
            [*profile.runtime.versions.items(), *profile.runtime.effective.items()],
            _compiled(profile, say),
        ),
        _table("Plan", _plan(profile, say)),
        _table("Model", _model(profile, say)),
        replace(_table("Inputs and outputs", _tensors(profile, say)), sentences=_chosen(profile)),
        _table("Device", _device(profile, say)),
        _table("Environment", list(settings(profile, say))),
        _table("Energy", _energy(profile, say)),
        _table("What the stages mean here", _row(profile, say)),
    ]
    return [table for table in tables if table.rows]


def _table(title: str, rows: Sequence[tuple[str, str]], note: str | None = None) -> Table:
    return Table(title, [(key, crop(value, 2000)) for key, value in rows], note)


def _compiled(profile: Profile, say: Say) -> str | None:
    """Loads and inference run what compile left, where it left something: their options may look idle for that reason."""
    artifact = profile.runtime.row.artifact
    if artifact is None or profile.compile.reason is not None:
        return None
    return say("In effect for loads and inference. What compile had made before: {artifact}.", artifact=artifact)


def _request(profile: Profile, say: Say) -> list[tuple[str, str]]:
    asked = profile.request
    rows: list[tuple[str, object]] = [
        (say("model"), asked.model),
        (say("runtime"), asked.runtime),
        (say("options"), asked.options or say("none")),
        (say("repeats"), asked.repeats),
        (say("seed"), asked.seed),
        (say("time limit"), None if asked.timeout_s is None else show_time(asked.timeout_s * 1e9)),
        (say("memory limit"), None if asked.memory_limit_bytes is None else show_bytes(asked.memory_limit_bytes)),
        *((say("shape of {name}", name=name), list(shape)) for name, shape in asked.input_shapes.items()),
        *((say("range of {name}", name=name), list(range_)) for name, range_ in asked.input_ranges.items()),
        *((say("file of {name}", name=name), path) for name, path in asked.input_files.items()),
    ]
    return [(key, str(value)) for key, value in rows if value is not None]


def _plan(profile: Profile, say: Say) -> list[tuple[str, str]]:
    plan = profile.plan
    passes = ((say("timing runs"), plan.timing_runs), (say("memory runs"), plan.memory_runs))
    rows = [
        (title, ", ".join(f"{name} {count}" for name, count in runs.items()) or say("none")) for title, runs in passes
    ]
    rows += [
        (say("layer iterations"), str(plan.layer_iterations)),
        (say("iterations at most"), str(plan.max_iterations)),
    ]
    rows += [(say("loop time at most"), show_time(plan.max_time_s * 1e9))]
    return rows + ([(say("memory limit by"), plan.memory_limit_method)] if plan.memory_limit_method else [])


def _model(profile: Profile, say: Say) -> list[tuple[str, str]]:
    model, unknown = profile.model, profile.model.unknown or {}
    told: list[tuple[str, str | None]] = [
        ("format", str(model.format)),
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
        (
            say(key),
            value
            if value is not None
            else say("not known: {why}", why=unknown.get(fields.get(key, key)) or say("the file does not tell")),
        )
        for key, value in told
    ]


def _tensors(profile: Profile, say: Say) -> list[tuple[str, str]]:
    """An input with what it was fed; an output's type and shape, which are the model's own."""
    rows = [
        (say("input {name}", name=one.spec.name), f"{one.spec.dtype} {one.spec.shape_text}, {one.source}")
        for one in profile.inputs
    ]
    return rows + [
        (say("output {name}", name=one.spec.name), f"{one.spec.dtype} {one.spec.shape_text}") for one in profile.outputs
    ]


def _chosen(profile: Profile) -> tuple[str, ...]:
    """Which dimensions of inputs were chosen, and by what rule."""
    return tuple(notice.text for notice in profile.notices if notice.code == ASSUMED)


def _device(profile: Profile, say: Say) -> list[tuple[str, str]]:
    device = profile.device
    rows: Mapping[str, str | None] = {
        say("name"): device.name,
        say("system"): f"{device.os} {device.os_version}",
        say("kernel"): kernel(profile),
        say("architecture"): device.architecture,
        say("processor"): device.processor,
        say("cores"): _cores(device),
        say("memory"): None if device.memory_bytes is None else f"{device.memory_bytes / 1e9:.1f} GB",
        say("page"): f"{device.page_bytes:,} B",
        say("accelerators"): ", ".join(device.accelerators) or say("none"),
        **device.attributes,
    }
    return [(key, value or "-") for key, value in rows.items()]


def _cores(device: DeviceFacts) -> str:
    """Their number; where they are of several types, how many of each."""
    types = device.core_types if len(device.core_types) > 1 else ()
    return str(device.cores) + (f" ({', '.join(one.told for one in types)})" if types else "")


def _energy(profile: Profile, say: Say) -> list[tuple[str, str]]:
    """Each sensor with what it told, and those that cannot be read with the reason."""
    if profile.energy is None:
        return []
    rows = []
    for one in profile.energy.sensors:
        told = one.reason
        if told is None and None not in (one.joules, one.idle_watts, one.loop_watts):
            told = say(
                "{energy} an inference; {loop} while the model runs, {idle} idle",
                energy=show_joules(one.joules or 0.0, one.uncertainty_joules),
                loop=show_watts(one.loop_watts or 0.0),
                idle=show_watts(one.idle_watts or 0.0),
            )
        rows.append((one.told, told or "-"))
    return [
        *rows,
        *(((say("not read: {sensor}", sensor=name)), why) for name, why in profile.energy.unavailable.items()),
    ]


def _row(profile: Profile, say: Say) -> list[tuple[str, str]]:
    row = profile.runtime.row
    return [
        (say("compile leaves"), row.artifact or say("nothing")),
        (say("wiped before a first load"), row.wiped),
        (say("put off until the first inference"), row.lazy),
    ]


# ---- witnesses ------------------------------------------------------------------------------------------------------


def witnesses(stage: Stage, say: Say = plainly) -> WitnessTable | None:
    """The readings of a stage's runs, timing passes first; None when it has none."""
    passes: list[tuple[str, TimingRun | MemoryRun]] = [(_run_title(run, say), run) for run in stage.timing_runs]
    memory = stage.memory.runs if stage.memory is not None else ()
    passes += [(say("memory {number}", number=run.process), run) for run in memory]
    if not passes:
        return None
    names = dict.fromkeys(name for _, run in passes for name in _names(run.witnesses))
    rows = [
        (_UNIT.sub("", name), _meaning(name), [_reading(run.witnesses, name) for _, run in passes])
        for name in [name for name in names if name not in _UNREADABLE][:ROWS_MOST]
    ]
    missing: dict[str, str] = {}
    for _, run in passes:
        missing.update(run.witnesses.unavailable)
    rows.insert(0, ("wall", "how long the pass took", [show_time(run.witnesses.wall_ns) for _, run in passes]))
    heads = [(title, Badge(run.verdict.trust.value)) for title, run in passes]
    reasons = [(title, "; ".join(run.verdict.reasons)) for title, run in passes if run.verdict.reasons]
    return WitnessTable(stage_title(stage), heads, rows, reasons, sorted(missing.items()))


_UNIT = re.compile("_(?:ns|us|s|bytes|hz|celsius|joules|share)$")
"""What a reading's name ends in: the unit that it is stored in, not the one that it is shown in."""
_UNREADABLE = frozenset({"neighbours.at_ns"})
"""An instant of the monotonic clock, which others_cpu_ns is read against: its growth is ``wall`` once more."""


def _run_title(run: TimingRun, say: Say) -> str:
    title = say("timing {number}", number=run.process)
    if run.attempt > 1 or not run.chosen:
        title += say(", try {number}" if run.chosen else ", try {number} (left out)", number=run.attempt)
    return title


def _names(witnesses: Witnesses) -> Iterator[str]:
    yield from witnesses.grown
    yield from (name for name in witnesses.before if name not in witnesses.grown)


def _reading(witnesses: Witnesses, name: str) -> str:
    """How much a counter grew, or a gauge before and after; once when both read the same."""
    if name in witnesses.grown:
        return show_reading(name, witnesses.grown[name])
    ends = [show_reading(name, side[name]) for side in (witnesses.before, witnesses.after) if name in side]
    return " → ".join(dict.fromkeys(ends)) or "-"


def _meaning(name: str) -> str:
    """What a reading's plug-in says of one of its values; empty for one that this version does not know."""
    reading, _, field = name.partition(".")
    plugin = _readings().get(reading)
    known = None if plugin is None else plugin.fields.get(field)
    return "" if known is None else known.text


@cache
def _readings() -> dict[str, Reading]:
    """The plug-ins by name: a profile may name readings that nobody knows by the thousand."""
    found = {name: plugins.load(READINGS, name) for name in plugins.names(READINGS)}
    return {name: one for name, one in found.items() if isinstance(one, Reading)}
