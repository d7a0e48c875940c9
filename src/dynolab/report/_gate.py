"""What a gate found, for people, for a pull request, for a test report, and as annotations."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING
from xml.etree import ElementTree

from dynolab.report._markdown_text import plain
from dynolab.report.base import clean, line
from dynolab.spec.gate import Check, Gate, Outcome

if TYPE_CHECKING:
    from rich.console import Group

_COLOURS = {Outcome.WITHIN: "green", Outcome.BEYOND: "red", Outcome.CANNOT_TELL: "cyan"}
_SIGNS = {Outcome.WITHIN: "✅", Outcome.BEYOND: "❌", Outcome.CANNOT_TELL: "❔"}
_COLUMNS = ("", "Baseline", "Model", "Change", "Allowed", "")
_TITLE = "dynolab gate"


def text(found: Gate) -> Group:
    """The outcome first, then a row and a sentence for each figure, for a terminal."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for column in ("", "", "Change", "Allowed"):
        table.add_column(column, no_wrap=True)
    for one in found.checks:
        told = Text(one.outcome.value, style=_COLOURS[one.outcome])
        table.add_row(Text(one.figure, style="bold"), told, one.change or "–", one.allowed)
    return Group(
        *(Text(f"!! {line(one)}", style="bold red") for one in found.unlike),
        Text(_headline(found), style=f"bold {_COLOURS[found.outcome]}"),
        table,
        *(Text(line(one.sentence)) for one in found.checks),
        Text(line(found.how), style="dim"),
    )


def markdown(found: Gate) -> str:
    """A comment for a pull request."""
    rows = [[*_cells(one), f"{_SIGNS[one.outcome]} {one.outcome}"] for one in found.checks]
    parts = [
        f"### {_SIGNS[found.outcome]} {plain(_headline(found))}",
        "\n".join(f"> ⚠️ {plain(one)}" for one in found.unlike),
        "\n".join(_row(cells) for cells in (_COLUMNS, ["---"] * len(_COLUMNS), *rows)),
        "\n".join(f"* {plain(one.sentence)}" for one in found.checks if one.outcome is not Outcome.WITHIN),
        f"<sub>{plain(found.how)}</sub>",
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def junit(found: Gate, unknown_passes: bool | None) -> str:
    """JUnit XML: a test case for each figure; one that cannot be told is an error, or skipped where it is to pass."""
    skipped = unknown_passes is True
    counts = {outcome: sum(one.outcome is outcome for one in found.checks) for outcome in Outcome}
    unknown = counts[Outcome.CANNOT_TELL]
    told = {
        "name": _TITLE,
        "tests": str(len(found.checks)),
        "failures": str(counts[Outcome.BEYOND]),
        "errors": str(0 if skipped else unknown),
        "skipped": str(unknown if skipped else 0),
        "time": f"{found.wall_s:.1f}",
    }
    suite = ElementTree.Element("testsuite", told)
    for one in found.checks:
        case = ElementTree.SubElement(suite, "testcase", classname=clean(found.model), name=one.figure)
        kind = {Outcome.BEYOND: "failure", Outcome.CANNOT_TELL: "skipped" if skipped else "error"}.get(one.outcome)
        if kind is not None:
            ElementTree.SubElement(case, kind, message=clean(one.sentence)).text = clean(found.how)
    root = ElementTree.Element("testsuites")
    root.append(suite)
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True) + "\n"


def workflow_commands(found: Gate, unknown_passes: bool | None) -> list[str]:
    """Workflow commands of GitHub Actions, one for each figure."""
    unknown = "warning" if unknown_passes else "error"
    kinds = {Outcome.WITHIN: "notice", Outcome.BEYOND: "error", Outcome.CANNOT_TELL: unknown}
    title = _escaped(_TITLE, ":", ",")
    told = [f"::{kinds[one.outcome]} title={title}::{_escaped(line(one.sentence))}" for one in found.checks]
    return [*(f"::warning title={title}::{_escaped(line(one))}" for one in found.unlike), *told]


def _escaped(words: str, *more: str) -> str:
    """As workflow commands want it: docs.github.com, Workflow commands for GitHub Actions."""
    for sign in ("%", "\r", "\n", *more):
        words = words.replace(sign, f"%{ord(sign):02X}")
    return words


def _headline(found: Gate) -> str:
    said: dict[Outcome, Callable[[str, str], str]] = {
        Outcome.WITHIN: lambda model, baseline: f"{model} is within what is allowed beside {baseline}",
        Outcome.BEYOND: lambda model, baseline: f"{model} costs more than is allowed beside {baseline}",
        Outcome.CANNOT_TELL: lambda model, baseline: f"cannot tell whether {model} costs more than {baseline}",
    }
    return said[found.outcome](line(found.model), line(found.baseline))


def _cells(one: Check) -> list[str]:
    return [one.figure, one.baseline or "–", one.model or "–", one.change or "–", one.allowed]


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(map(plain, cells))} |"
