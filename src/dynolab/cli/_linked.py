"""A linked model, as the commands that make one print it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynolab.spec.links import Linked


def show(made: Linked) -> None:
    """Print it: the answer first, then its graphs."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table
    from rich.text import Text

    from dynolab.cli import _made
    from dynolab.spec.show import show_bytes, show_time

    console = Console(highlight=False)
    title = f"[bold]{escape(made.name)} -> {escape(made.entry)}[/bold]  {made.headline}"
    console.print(title, soft_wrap=True)
    for notice in made.notices:
        if notice.level != "info":
            console.print(f"[bold red]warning:[/bold red] {escape(notice.text)}", soft_wrap=True)
    about = f"for {made.npu.chipset}, Hexagon {made.npu.hexagon}, {show_time(made.time_ns)}, at most {show_bytes(made.peak_bytes)} of memory"
    console.print(f"[dim]{escape(about)}[/dim]", soft_wrap=True)
    console.print()
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("Graph", "From", "Operators", "Inputs", "Outputs"):
        table.add_column(title, overflow="fold")
    for one in made.graphs:
        names = (", ".join(f"{spec.name} {spec.shape_text}" for spec in side) for side in (one.inputs, one.outputs))
        table.add_row(*map(Text, (one.name, one.source, str(one.operators), *names)))
    console.print(table)
    _made.notices(console, [one for one in made.notices if one.level == "info"], made.tools)
