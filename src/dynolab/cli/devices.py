"""``dynolab devices``: what jobs can be sent to."""

from __future__ import annotations

import click

from dynolab.cli import _hub


@click.command("devices")
@click.option("--name", default="", help="Of this name only.")
@click.option("--os", default="", help='Of this system version, or an interval such as "[14,15)".')
@click.option(
    "--attribute", "attributes", multiple=True, metavar="KEY:VALUE", help="With this attribute; may be repeated."
)
@_hub.AS_JSON
def command(name: str, os: str, attributes: tuple[str, ...], as_json: bool) -> None:
    """List the hub's devices: models of devices, how many boards of each, how many are busy, how many jobs wait."""
    from rich.markup import escape

    with _hub.client() as client:
        query = {"name": name or None, "os": os or None, "attribute": list(attributes) or None}
        found = client.api.get("devices", **query)["devices"]
    if as_json:
        _hub.print_json(found)
        return
    rows = [
        (
            escape(one["name"]),
            one["os"],
            *(str(one[key]) for key in ("boards", "busy", "queued")),
            escape(one["description"]),
        )
        for one in found
    ]
    titles = ("Device", "OS", "Boards", "Busy", "Waiting", "What it is")
    shown = _hub.table(titles, rows, right=("Boards", "Busy", "Waiting"))
    _hub.show(shown if found else "no device fits" if name or os or attributes else "no device is known yet")
