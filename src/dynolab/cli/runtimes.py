"""``dynolab runtimes``: what can run models here, or on a device."""

from __future__ import annotations

from typing import Any

import click

from dynolab.cli import _device

NOT_TRIED = "not tried there"


@click.command("runtimes")
@_device.option("The device whose runtimes are listed")
@click.option("-r", "--runtime", "runtimes", multiple=True, help=_device.BROUGHT)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(device: str | None, runtimes: tuple[str, ...], as_json: bool) -> int:
    """List the runtimes with versions and formats, and why one is unavailable. Each is loaded once, the first time.

    \b
    dynolab runtimes
    dynolab runtimes --device ssh://pi@board -r openvino
    """  # noqa: D301 - click wants the backspace character itself
    import json

    rows = _rows(runtimes) if _device.is_here(device) else _rows_there(str(device), runtimes)
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
        why = escape(row["unavailable"] or "")
        state = f"[dim]{why}[/dim]" if why.startswith(NOT_TRIED) else f"[yellow]unavailable:[/yellow] {why}"
        state = versions if row["unavailable"] is None else state
        table.add_row(f"[bold]{escape(row['name'])}[/bold]", " ".join(row["formats"]), state)
    Console().print(table)


def _rows_there(address: str, runtimes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One for each runtime that was brought to the device and tried, then one for each that was not."""
    from dynolab.doctor import reached
    from dynolab.runtimes.base import installed_runtimes

    names = _device.brought(runtimes)
    with _device.opened(address) as connection:
        found = reached.look(connection, names, _device.look_claim(), _device.say)
    tried = {**found.versions, **found.unavailable}
    rows = [
        {
            "name": one.name,
            "formats": [str(kind) for kind in one.runtime.formats] if one.runtime else [],
            "versions": dict(found.versions.get(one.name, {})),
            "unavailable": found.unavailable.get(one.name)
            if one.name in tried
            else one.unavailable
            if one.runtime is None
            else f"{NOT_TRIED}: -r {one.name}",
        }
        for one in installed_runtimes()
        if one.runtime is None or not one.runtime.numbers_only or one.name in tried
    ]
    return sorted(rows, key=lambda row: row["name"] not in tried)


def _rows(runtimes: tuple[str, ...]) -> list[dict[str, Any]]:
    """One for each runtime; and one for each format of an outside distribution that cannot be used."""
    from dynolab import formats
    from dynolab.runtimes.base import loaded_runtimes

    _device.refuse_runtimes(runtimes)
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
