"""The report as one HTML file that needs nothing else: no server, no other host, and no JavaScript to be read."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from dynolab.report.base import Report, clean, crop, labels, some
from dynolab.report.html import view
from dynolab.report.html.words import breaks, prose
from dynolab.spec.glossary import DEFINITIONS
from dynolab.spec.profiles import Profile

_TEMPLATES = Path(__file__).parent / "templates"


class HtmlReport(Report):
    """A page for one profile, or for several under a table that compares them."""

    name = "html"
    file_name = "report.html"
    description = "one self-contained page: charts, layers, witnesses, definitions"

    def render(self, profiles: Sequence[Profile]) -> str:
        shown = some(profiles, self.name)
        views = [
            view.view(profile, label, number, many=len(shown) > 1)
            for number, (label, profile) in enumerate(zip(labels(shown), shown, strict=True), 1)
        ]
        style, script = _part("report.css") + _widths(), _part("report.js")
        return (
            _environment()
            .get_template("report.html.j2")
            .render(
                title=" and ".join(dict.fromkeys(crop(profile.model.name, 80) for profile in shown)),
                views=views,
                many=len(views) > 1,
                comparison=view.comparison(shown),
                definitions=DEFINITIONS,
                style=Markup(style),
                script=Markup(script),
                policy=_policy(style, script),
                tail=view.tail,
            )
        )


@cache
def _environment() -> Environment:
    """Everything that is put in is escaped, and what acts instead of being read (control characters) is spelled out."""
    environment = Environment(
        loader=FileSystemLoader(_TEMPLATES),
        autoescape=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    environment.filters.update(prose=prose, breaks=breaks)
    return environment


@cache
def _part(name: str) -> str:
    return (_TEMPLATES / name).read_text(encoding="utf-8")


def _widths() -> str:
    """A class for each percent of a bar's width: the policy forbids styles at single elements."""
    return "".join(f".w{width}{{--w:{width}%}}" for width in range(101))


def _policy(style: str, script: str) -> str:
    """Nothing may be loaded, and only this file's own style and script may act (CSP level 2 hashes)."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (style, script)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


plugin = HtmlReport()
