"""``dynolab doctor``: what on this machine would disturb a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dynolab.doctor.base import Finding

_MARKS = {"problem": ("✗", "red"), "warning": ("!", "yellow"), "unknown": ("?", "cyan"), "ok": ("✓", "green")}
_LEGEND = {
    "problem": "disturbs measurements now",
    "warning": "may disturb them",
    "unknown": "cannot be told",
    "ok": "fine",
}
_COUNTED = {"problem": ("problem", "problems"), "warning": ("warning", "warnings"), "unknown": ("unknown",) * 2,
            "ok": ("fine",) * 2}  # fmt: skip


@click.command("doctor")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """Look for what would disturb a measurement here: what it costs, and how to mend it.

    Exit status 1 when there is a problem.
    """
    import json
    from dataclasses import asdict

    from dynolab.connections.local import workspace_root
    from dynolab.doctor.examine import examine

    place = next(folder for folder in (workspace_root(), *workspace_root().parents) if folder.exists())
    findings = examine(workspace=place)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        _show(findings)
    return int(any(finding.state == "problem" for finding in findings))


def _show(findings: list[Finding]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, show_header=False)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True, style="bold")
    table.add_column(overflow="fold")
    for finding in findings:
        mark, colour = _MARKS[finding.state]
        lines = [escape(finding.found)]
        if finding.state != "ok":
            lines += [f"[dim]costs:[/dim] {escape(finding.cost)}"] * bool(finding.cost)
            fix = finding.fix or ("" if finding.state == "unknown" else "# nothing here can be set")
            lines += [f"[dim]mend:[/dim]  {escape(fix)}"] * bool(fix)
        table.add_row(f"[{colour}]{mark}[/{colour}]", finding.name, "\n".join(lines))
    console = Console(highlight=False)
    console.print(table)
    console.print()
    console.print(
        "   ".join(f"[{colour}]{mark}[/{colour}] {_LEGEND[state]}" for state, (mark, colour) in _MARKS.items())
    )
    console.print(summary(findings), style="bold")


def summary(findings: Sequence[Finding]) -> str:
    """How many findings there are of each state, in one line."""
    counts = {state: sum(finding.state == state for finding in findings) for state in _MARKS}
    told = [f"{count} {_COUNTED[state][count != 1]}" for state, count in counts.items() if count]
    return ", ".join(told)
