"""The report as one HTML file that needs nothing else: no server, no other host, and no JavaScript to be read."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Sequence
from functools import cache

from jinja2 import Environment
from markupsafe import Markup

from dynolab.report.base import Report, crop, labels, some
from dynolab.report.html import view
from dynolab.report.html.environment import environment, script, style
from dynolab.report.html.figures import comparison
from dynolab.spec import precision
from dynolab.spec.profiles import Profile


class HtmlReport(Report):
    """A page for one profile, or for several under a table that compares them."""

    name = "html"
    file_name = "report.html"
    description = "one self-contained page: charts, layers, witnesses, definitions"
    several = True

    def render(self, profiles: Sequence[Profile]) -> str:
        shown = some(profiles, self.name)
        views = [
            view.view(profile, label, number, many=len(shown) > 1)
            for number, (label, profile) in enumerate(zip(labels(shown), shown, strict=True), 1)
        ]
        look, act = style(), script()
        return (
            _environment()
            .get_template("report.html.j2")
            .render(
                title=" and ".join(dict.fromkeys(crop(profile.model.name, 80) for profile in shown)),
                views=views,
                many=len(views) > 1,
                apart=precision.apart(shown, labels(shown)) if len(views) > 1 else None,
                comparison=comparison(shown),
                style=Markup(look),
                script=Markup(act),
                policy=_policy(look, act),
            )
        )


@cache
def _environment() -> Environment:
    return environment()


def _policy(look: str, act: str) -> str:
    """Nothing may be loaded, and only this file's own style and script may act (CSP level 2 hashes)."""
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in (look, act)]
    return (
        f"default-src 'none'; style-src 'sha256-{hashes[0]}'; script-src 'sha256-{hashes[1]}'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


plugin = HtmlReport()
