"""``dynolab runtimes``: what can run models here."""

from __future__ import annotations

from typing import Any

import click


@click.command("runtimes")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """List the runtimes with versions and formats, and why one is unavailable."""
    import json

    rows = _rows()
    if as_json:
        click.echo(json.dumps(rows, indent=1))
        return 0
    _show(rows)
    return 0


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False)
    for title in ("runtime", "formats", "versions"):
        table.add_column(title, overflow="fold")
    for row in rows:
        versions = escape(", ".join(f"{name} {version}" for name, version in row["versions"].items()))
        state = (
            versions if row["unavailable"] is None else f"[yellow]unavailable:[/yellow] {escape(row['unavailable'])}"
        )
        table.add_row(f"[bold]{escape(row['name'])}[/bold]", " ".join(row["formats"]), state)
    Console().print(table)


def _rows() -> list[dict[str, Any]]:
    from dynolab import plugins
    from dynolab.errors import Bug
    from dynolab.runtimes.base import Runtime

    rows: list[dict[str, Any]] = []
    for name in plugins.names("dynolab.runtimes"):
        runtime = plugins.load("dynolab.runtimes", name)
        if not isinstance(runtime, Runtime):
            raise Bug(f"the plug-in {name} of dynolab.runtimes is no Runtime")
        rows.append(
            {
                "name": name,
                "formats": [str(kind) for kind in runtime.formats],
                "versions": runtime.versions(),
                "unavailable": runtime.unavailable(),
            }
        )
    return rows
