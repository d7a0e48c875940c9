"""``dynolab runtimes``: what can run models here."""

from __future__ import annotations

from typing import Any

import click


@click.command("runtimes")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(as_json: bool) -> int:
    """List the runtimes with versions and formats, and why one is unavailable. Each is loaded once, the first time."""
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
    """One for each runtime; and one for each format of an outside distribution that cannot be used."""
    from dynolab import formats
    from dynolab.runtimes.base import loaded_runtimes

    rows = [
        {
            "name": one.name,
            "formats": [str(kind) for kind in one.runtime.formats] if one.runtime else [],
            "versions": dict(one.versions),
            "unavailable": one.unavailable,
        }
        for one in loaded_runtimes()
    ]
    broken = formats.known().problems.items()
    return rows + [
        {"name": f"{name} (format)", "formats": [], "versions": {}, "unavailable": why} for name, why in broken
    ]
