"""The templates' environment: everything that is put in is escaped, and what acts instead of being read is spelled out."""

from __future__ import annotations

from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from dynolab.report.base import clean
from dynolab.report.html.view import tail
from dynolab.report.html.words import breaks, prose
from dynolab.spec.glossary import DEFINITIONS

__all__ = ["Environment", "environment", "script", "style"]
TEMPLATES = Path(__file__).parent / "templates"


def environment(*folders: Path, glossary: str = "") -> Environment:
    """The environment of the report's own templates, and of those in ``folders``, which come first.

    ``glossary`` is the address of the page that holds the definitions; empty: the same page.
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
    made.filters.update(prose=prose, breaks=breaks)
    made.globals.update(definitions=DEFINITIONS, glossary=glossary, tail=tail)
    return made


def style() -> str:
    """The style sheet of what the report's templates show."""
    return (TEMPLATES / "report.css").read_text(encoding="utf-8") + _widths()


def script() -> str:
    """The script of the report: sorting, filtering, definitions beside their words. Without it everything can be read."""
    return (TEMPLATES / "report.js").read_text(encoding="utf-8")


def _widths() -> str:
    """A class for each percent of a bar's width: the policy forbids styles at single elements."""
    return "".join(f".w{width}{{--w:{width}%}}" for width in range(101))
