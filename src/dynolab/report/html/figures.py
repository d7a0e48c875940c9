"""Figures as a page shows them: title, definition, text, reason; and the figures that stand side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from dynolab.report.html.charts import BELOW_RESOLUTION
from dynolab.report.html.tables import Badge
from dynolab.spec.facts import Fact, fact
from dynolab.spec.measurements import Range, StageName
from dynolab.spec.profiles import Profile, Stage, Trust
from dynolab.spec.requirements import trust_of
from dynolab.spec.show import Value

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


_MEMORY = tuple(f"{stage}_memory_{part}_range" for stage in StageName for part in ("peak", "increase"))

COMPARED = (
    "compile_time", "first_load_time", "warm_load_time", "estimated_inference_time", "inference_time_median",
    "inference_time_p90", "iterations_per_second", "first_inference_time", "runtime_import_time", *_MEMORY,
    "process_total_peak_range", "runtime_import_memory_range", "inference_energy", "model_size", "layer_count",
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
    trust = trust_of(stage, "time") if found.kind in ("time_ns", "rate") else memory_trust(stage)
    return None if trust in (Trust.CLEAN, None) else Badge(trust.value)


def memory_trust(stage: Stage) -> Trust | None:
    """The verdict on a stage's memory (measuring.md section 6): every pass enters the median, so the worst counts."""
    found = {run.verdict.trust for run in stage.memory.runs} if stage.memory is not None else set()
    return next((trust for trust in (Trust.INVALID, Trust.NOISY, Trust.CLEAN) if trust in found), None)
