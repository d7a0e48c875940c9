"""What the HTML template shows of one profile, worked out: words, figures, charts, rows of tables. No markup."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from dynolab.report.base import Say, clean, crop, device_text, plainly, runtime_text, stage_title, threads
from dynolab.report.html.charts import MemoryChart, load_bar, memory_chart
from dynolab.report.html.figures import LONGEST_NAME, Figure, figure, memory_trust
from dynolab.report.html.iterations import IterationCharts, iteration_charts
from dynolab.report.html.layers import LayersView, layers_view
from dynolab.report.html.stage_cards import StageView, stage_card
from dynolab.report.html.strip import Strip, strip
from dynolab.report.html.sustained import SustainedView, sustained_view
from dynolab.report.html.tables import Badge, Table, WitnessTable, tables, witnesses
from dynolab.spec.models import FileFact
from dynolab.spec.profiles import Profile
from dynolab.spec.show import show_bytes, show_time


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
    sustained: SustainedView | None
    sustained_reason: str | None
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
        stages=[stage_card(profile, stage, first.told, say) for stage in profile.stages],
        others=_others(profile),
        memory=memory_chart(profile, say),
        memory_verdicts=[
            (stage_title(stage), Badge(trust.value))
            for stage in profile.stages
            if (trust := memory_trust(stage)) is not None
        ],
        iterations=iteration_charts(profile.inference, say),
        statistics=_statistics(profile),
        loads=_loads(profile),
        layers=layers_view(profile, say, chunks),
        sustained=sustained_view(profile, say),
        sustained_reason=profile.sustained_reason,
        tables=tables(profile, say),
        witnesses=[table for stage in profile.stages if (table := witnesses(stage, say)) is not None],
    )


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
    return say("{count} thread" if count == "1" else "{count} threads", count=count) + (f" ({say(why)})" if why else "")


def _others(profile: Profile) -> list[Figure]:
    keys = ("runtime_import_time", "runtime_import_memory_range", "io_memory",
            "inference_energy", "inference_power", "idle_power", "memory_resolution", "harness_floor", "layer_pass_overhead", "profile_wall_time", "profile_work_time")  # fmt: skip
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


def tail(log: str, lines: int = 200) -> str:
    """The last lines of a log, safe to show."""
    return clean("\n".join(log.splitlines()[-lines:]))
