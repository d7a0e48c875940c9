"""``dynolab devices``: what jobs can be sent to."""

from __future__ import annotations

import json

import click


@click.command("devices")
@click.option("--name", default="", help="Of this name only.")
@click.option("--os", default="", help='Of this system version, or an interval such as "[14,15)".')
@click.option(
    "--attribute", "attributes", multiple=True, metavar="KEY:VALUE", help="With this attribute; may be repeated."
)
@click.option("--json", "as_json", is_flag=True, help="As JSON.")
def command(name: str, os: str, attributes: tuple[str, ...], as_json: bool) -> None:
    """List the hub's devices: models of devices, how many boards of each, how many are busy, how many jobs wait."""
    from rich.markup import escape
    from rich.table import Table

    from dynolab.cli import _hub

    with _hub.client() as client:
        query = {"name": name or None, "os": os or None, "attribute": list(attributes) or None}
        found = client.api.get("devices", **query)["devices"]
    if as_json:
        click.echo(json.dumps(found, indent=1))
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Device", "OS", "Boards", "Busy", "Waiting", "What it is"):
        table.add_column(title, justify="right" if title in ("Boards", "Busy", "Waiting") else "left")
    for one in found:
        counts = (str(one["boards"]), str(one["busy"]), str(one["queued"]))
        table.add_row(escape(one["name"]), one["os"], *counts, escape(one["description"]))
    _hub.show(table if found else "no device fits" if name or os or attributes else "no device is known yet")
