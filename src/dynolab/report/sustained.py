"""The sustained run's curve as a table for spreadsheets: one row per window."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import astuple, fields

from dynolab.report.base import Report, only
from dynolab.spec.measurements import SustainedWindow
from dynolab.spec.profiles import Profile

COLUMNS = tuple(field.name for field in fields(SustainedWindow))


class SustainedReport(Report):
    """RFC 4180; times in ns from the run's start, the clock in Hz; an empty field was not told."""

    name = "sustained"
    file_name = "sustained.csv"
    description = "the sustained run's windows, one row each, for a spreadsheet"

    def fits(self, profile: Profile) -> bool:
        return profile.sustained is not None

    def render(self, profiles: Sequence[Profile]) -> str:
        found = only(profiles, self.name).sustained
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\r\n")
        writer.writerow(COLUMNS)
        # The type of a core is a word: quoted where it could be read as a formula.
        writer.writerows(
            [
                f"'{value}" if isinstance(value, str) and value[:1] in ("=", "+", "-", "@") else value
                for value in astuple(one)
            ]
            for one in (found.windows if found is not None else ())
        )
        return text.getvalue()


plugin = SustainedReport()
