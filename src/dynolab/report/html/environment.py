"""The templates' environment: everything that is put in is escaped, and what acts instead of being read is spelled out."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup, escape

from dynolab.report.base import OTHER_KINDS, Say, clean, plainly
from dynolab.report.html.layer_rows import layer_rows
from dynolab.report.html.view import tail
from dynolab.report.html.words import breaks, prose
from dynolab.spec.glossary import DEFINITIONS, Definition

__all__ = ["Environment", "environment", "script", "style"]
TEMPLATES = Path(__file__).parent / "templates"


def environment(
    *folders: Path,
    glossary: str = "",
    language: str = "en",
    say: Say = plainly,
    definitions: Mapping[str, Definition] = DEFINITIONS,
    stored: Callable[[str], Markup] = prose,
) -> Environment:
    """The environment of the report's own templates, and of those in ``folders``, which come first.

    ``glossary`` is the address of the page that holds the definitions; empty: the same page. In another language than
    English, ``say`` and ``definitions`` speak that, and ``stored`` sets the sentences that the profile holds in English.
    """
    made = Environment(
        loader=FileSystemLoader([*folders, TEMPLATES]),
        autoescape=True,
        keep_trailing_newline=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=lambda value: clean(value) if type(value) is str else value,
    )
    made.filters.update(prose=prose, breaks=breaks, stored=stored)
    made.globals.update(
        definitions=definitions,
        glossary=glossary,
        other_kinds=OTHER_KINDS,
        tail=tail,
        layer_rows=layer_rows,
        say=say,
        say_around=_around(say),
        translated=language != "en",
    )
    return made


def _around(say: Say) -> Say:
    """As ``say``, for words that stand around markup."""
    return lambda words, /, **values: Markup(say(words, **{name: escape(value) for name, value in values.items()}))


def style() -> str:
    """The style sheet of what the report's templates show."""
    return (TEMPLATES / "report.css").read_text(encoding="utf-8") + _widths()


def script() -> str:
    """The script of the report: sorting, filtering, definitions beside their words. Without it everything can be read."""
    return (TEMPLATES / "report.js").read_text(encoding="utf-8")


def _widths() -> str:
    """A class for each percent of a bar's width: the policy forbids styles at single elements."""
    return "".join(f".w{width}{{--w:{width}%}}" for width in range(101))
