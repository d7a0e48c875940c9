"""``dynolab doctor``: what on a device would disturb a measurement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from dynolab.cli import _device

if TYPE_CHECKING:
    from dynolab.spec.findings import Finding

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
@_device.option("The device that is looked at")
@click.option("-r", "--runtime", "runtimes", multiple=True, help=_device.BROUGHT)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(device: str | None, runtimes: tuple[str, ...], as_json: bool) -> int:
    """Look for what would disturb a measurement: what it costs, and how to mend it.

    \b
    dynolab doctor
    dynolab doctor --device ssh://pi@board
    \b
    Of a device at an address, also what it is and which runtimes can be used there. The commands that mend are for that device.
    Exit status 1 when there is a problem.
    """  # noqa: D301 - click wants the backspace character itself
    import json
    from dataclasses import asdict

    findings = _here(runtimes) if _device.is_here(device) else _there(str(device), runtimes)
    if as_json:
        click.echo(json.dumps([asdict(finding) for finding in findings], indent=1))
    else:
        _show(findings)
    return int(any(finding.state == "problem" for finding in findings))


def _here(runtimes: tuple[str, ...]) -> list[Finding]:
    from dynolab.connections.local import workspace_root
    from dynolab.doctor.examine import examine

    _device.refuse_runtimes(runtimes)
    place = next(folder for folder in (workspace_root(), *workspace_root().parents) if folder.exists())
    return examine(workspace=place)


def _there(address: str, runtimes: tuple[str, ...]) -> list[Finding]:
    from dynolab.doctor import reached
    from dynolab.spec import device_attributes

    names = _device.brought(runtimes)
    with _device.opened(address) as connection:
        survey, findings = reached.examine(connection, names, _device.look_claim(), _device.say)
    facts, where = survey.device, survey.environment
    click.echo(f"{facts.name}: {device_attributes.description(facts)}", err=True)
    click.echo(
        f"{facts.os} {facts.os_version}, kernel {facts.kernel}, {where.get('python', 'Python unknown')}", err=True
    )
    return findings


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
