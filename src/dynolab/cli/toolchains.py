"""``dynolab toolchains``: what models can be compiled for here."""

from __future__ import annotations

from typing import Any

import click


@click.command("toolchains")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """List the targets of `dynolab compile`: from which formats, with which versions, and what is missing."""
    import json

    rows = _rows()
    if as_json:
        click.echo(json.dumps(rows, indent=1))
    else:
        _show(rows)
    return 0


def _show(rows: list[dict[str, Any]]) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("target", "from", "versions"):
        table.add_column(title, overflow="fold")
    for row in rows:
        ready = [kind for kind, reason in row["sources"].items() if reason is None]
        versions = escape(", ".join(f"{name} {version}" for name, version in row["versions"].items()))
        table.add_row(f"[bold]{escape(row['name'])}[/bold]", " ".join(ready), versions)
        for kind, reason in row["sources"].items():
            if reason is not None:
                table.add_row("", kind, f"[yellow]unavailable:[/yellow] {escape(reason)}")
    Console().print(table)


def _rows() -> list[dict[str, Any]]:
    from dynolab import plugins
    from dynolab.toolchains.base import PACKAGE, toolchain_named

    found = [toolchain_named(name) for name in plugins.names(PACKAGE)]
    return [
        {
            "name": one.name,
            "makes": str(one.makes),
            "sources": {str(kind): one.unavailable(kind) for kind in one.sources},
            "versions": one.versions(),
            "options": list(one.options),
        }
        for one in found
    ]
