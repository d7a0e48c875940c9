"""The layers as a table for spreadsheets: one row per layer, in order of execution."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence

from dynolab.report.base import Report, line, only
from dynolab.spec.profiles import Profile

COLUMNS = ("number", "name", "type", "compute_unit", "time_ns", "share", "cycles", "output_bytes", "delegate")
_FORMULA = ("=", "+", "-", "@")


class CsvReport(Report):
    """RFC 4180; times in ns, shares of 1, memory in bytes; an empty field was not told."""

    name = "csv"
    file_name = "layers.csv"
    description = "the layers, one row each, for a spreadsheet"

    def render(self, profiles: Sequence[Profile]) -> str:
        layers = only(profiles, self.name).layers.layers
        whole = sum(layer.time_ns for layer in layers) or 1
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        for number, layer in enumerate(layers, 1):
            words = (_cell(layer.name), _cell(layer.type), layer.compute_unit.value)
            share = f"{layer.time_ns / whole:.6f}"
            writer.writerow(
                [number, *words, layer.time_ns, share, layer.cycles, layer.output_bytes, _cell(layer.delegate or "")]
            )
        return text.getvalue()


def _cell(text: str) -> str:
    """The text on one line, and never a formula: a spreadsheet would run a name that begins with ``=``.

    https://owasp.org/www-community/attacks/CSV_Injection
    """
    text = line(text)
    return f"'{text}" if text.startswith(_FORMULA) else text


plugin = CsvReport()
