"""The layers as a page shows them: rows in bodies of a hundred, totals for each unit. No markup."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from dynolab.report.base import Say, crop, is_fallback, plainly, ranked
from dynolab.report.html.charts import unit_bar
from dynolab.report.html.figures import LONGEST_NAME, Figure, figure
from dynolab.spec.facts import UnitTotal, unit_totals
from dynolab.spec.measurements import ComputeUnit, Layer
from dynolab.spec.profiles import LayerTable, Profile
from dynolab.spec.show import show_bytes, show_share, show_stepped, show_time

CHUNK = 100
"""Layers in one body of the table: a body out of sight is not laid out (``content-visibility``)."""


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
    words = (
        "Disturbed: the layers add up to {share} more than an inference takes. Their times and shares are not reliable."
    )
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
