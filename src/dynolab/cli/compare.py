"""``dynolab compare``: do two profiles differ, or is it noise?"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dynolab.spec.compare import Comparison, Ratio

_COLOURS = {"changed": "yellow", "unchanged": "green", "cannot tell": "cyan"}
SHOWN_LAYERS = 10


@click.command("compare")
@click.argument("before", type=click.Path(path_type=Path))
@click.argument("after", type=click.Path(path_type=Path))
@click.option("--floor", type=float, help="The device's own A/A difference, such as 0.02; default: from the profiles.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(before: Path, after: Path, floor: float | None, as_json: bool) -> int:
    """Compare two profile.json documents, BEFORE and AFTER: stage by stage, with an interval, and layer by layer.

    Exit status 1 when a stage became slower.
    """
    import json

    from dynolab.cli.report import read
    from dynolab.spec import codec
    from dynolab.spec.compare import compare

    found = compare(read(before), read(after), floor)
    if as_json:
        click.echo(json.dumps(codec.encode(found), indent=1))
    else:
        _show(found)
    slower = [stage for stage in found.stages if stage.answer.value == "changed" and _grew(stage.minimum)]
    return int(bool(slower))


def _grew(ratio: Ratio | None) -> bool:
    return ratio is not None and ratio.value > 1


def _show(found: Comparison) -> None:
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    console = Console()
    table = Table(box=None, pad_edge=False)
    for title in ("stage", "answer", "minimum", "median"):
        table.add_column(title, overflow="fold")
    for stage in found.stages:
        colour = _COLOURS[stage.answer.value]
        answer = f"[{colour}]{stage.answer.value}[/{colour}]"
        table.add_row(stage.name.value, answer, _ratio(stage.minimum), _ratio(stage.median))
    console.print(table)
    console.print()
    for stage in found.stages:
        console.print(f"[bold]{stage.name.value}[/bold]: {escape(stage.sentence)}", highlight=False)
    for line in (found.basis, *found.differences):
        console.print(f"[dim]{escape(line)}[/dim]")
    layers = [layer for layer in found.layers.layers if layer.ratio is not None and layer.a_ns != layer.b_ns]
    layers.sort(key=lambda layer: -abs(layer.b_ns - layer.a_ns))
    if layers:
        console.print(f"\nlayers that moved most (ns); {escape(found.layers.note)}")
    for layer in layers[:SHOWN_LAYERS]:
        console.print(f"  {escape(layer.name)}  {layer.a_ns} -> {layer.b_ns}  x {layer.ratio:.2f}", highlight=False)


def _ratio(ratio: Ratio | None) -> str:
    """A ratio with its interval: ``x 1.032 (1.011 - 1.050)``."""
    if ratio is None:
        return "-"
    interval = (
        f" ({ratio.lower:.3f} - {ratio.upper:.3f})" if ratio.lower is not None and ratio.upper is not None else ""
    )
    return f"x {ratio.value:.3f}{interval}"
