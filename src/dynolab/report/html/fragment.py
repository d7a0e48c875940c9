"""One profile as a piece of a page: what a notebook shows below a cell. No script, nothing from outside."""

from __future__ import annotations

from functools import cache

from jinja2 import Environment
from markupsafe import Markup

from dynolab.report.base import crop, layer_name, ranked
from dynolab.report.html.environment import TEMPLATES, environment
from dynolab.report.html.figures import LONGEST_NAME
from dynolab.report.html.view import view
from dynolab.spec.profiles import Profile
from dynolab.spec.show import show_share, show_stepped

LAYERS = 8
"""So many layers stand in the panel, those that take longest."""


def fragment(profile: Profile) -> str:
    """The panel as HTML, with a style sheet that touches nothing else; it takes the page's own colours, light or dark."""
    layers = profile.layers
    total = sum(layer.time_ns for layer in layers.layers) or 1
    top = ranked(layers.layers)[:LAYERS]
    longest = max((layer.time_ns for _, layer in top), default=1) or 1
    rows = [
        (
            number,
            crop(layer_name(layer.name), LONGEST_NAME),
            layer.type,
            layer.compute_unit.value,
            show_stepped(layer.time_ns, layers.resolution_ns),
            show_share(layer.time_ns / total),
            round(100 * layer.time_ns / longest),
        )
        for number, layer in top
    ]
    return (
        _templates()
        .get_template("fragment.html.j2")
        .render(
            shown=view(profile, profile.model.name, 1, many=False),
            rows=rows,
            count=len(layers.layers),
            style=Markup(_style()),
        )
    )


@cache
def _templates() -> Environment:
    return environment()


@cache
def _style() -> str:
    return (TEMPLATES / "fragment.css").read_text(encoding="utf-8")
