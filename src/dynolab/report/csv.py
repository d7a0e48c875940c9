"""The layers as a table for spreadsheets: one row per layer, in order of execution."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence

from dynolab.report.base import Report, labels, line, some
from dynolab.spec.compare_layers import layers_side_by_side
from dynolab.spec.profiles import Profile

COLUMNS = ("number", "name", "type", "compute_unit", "time_ns", "share", "cycles", "output_bytes", "delegate", "lower_ns",
           "p10_ns", "p90_ns", "precision")  # fmt: skip
_FORMULA = ("=", "+", "-", "@")


class CsvReport(Report):
    """RFC 4180; times in ns, shares of 1, memory in bytes; an empty field was not told.

    Of several profiles the layers stand side by side, matched by name: unit and time of each, and what each takes more
    than the first.
    """

    name = "csv"
    file_name = "layers.csv"
    description = "the layers, one row each, for a spreadsheet"
    several = True

    def render(self, profiles: Sequence[Profile]) -> str:
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerows(_alone(profiles[0]) if len(some(profiles, self.name)) == 1 else _together(profiles))
        return text.getvalue()


def _alone(profile: Profile) -> Iterator[Sequence[object]]:
    layers = profile.layers.layers
    whole = sum(layer.time_ns for layer in layers) or 1
    yield COLUMNS
    for number, layer in enumerate(layers, 1):
        words = (_cell(layer.name), _cell(layer.type), layer.compute_unit.value)
        share = f"{layer.time_ns / whole:.6f}"
        spread = (layer.lower_ns, layer.p10_ns, layer.p90_ns)
        told = (_cell(layer.delegate or ""), *spread, _cell(layer.precision or ""))
        yield [number, *words, layer.time_ns, share, layer.cycles, layer.output_bytes, *told]


def _together(profiles: Sequence[Profile]) -> Iterator[Sequence[object]]:
    names = [_cell(label) for label in labels(profiles)]
    figures = [f"{name} {figure}" for name in names for figure in ("compute_unit", "time_ns")]
    yield ["name", *figures, *(f"{name} difference_ns" for name in names[1:])]
    for row in layers_side_by_side([profile.layers for profile in profiles]):
        sides = [
            value
            for layer in row.layers
            for value in (("", "") if layer is None else (layer.compute_unit.value, layer.time_ns))
        ]
        yield [_cell(row.name), *sides, *row.differences_ns]


def _cell(text: str) -> str:
    """The text on one line, and never a formula: a spreadsheet would run a name that begins with ``=``.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    text = line(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


plugin = CsvReport()
