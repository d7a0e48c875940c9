"""A compiled model, as the commands that make one print it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dynolab.spec.compiles import Compiled


def show(made: Compiled) -> None:
    """Print it: the answer first, then what changed, then its tensors."""
    from rich.console import Console
    from rich.markup import escape

    from dynolab.cli import _made
    from dynolab.spec.show import show_bytes, show_time

    console = Console(highlight=False)
    title = f"[bold]{escape(made.name)} -> {escape(made.entry)}[/bold]  {_numbers(made)}"
    console.print(title, soft_wrap=True)
    console.print(
        f"[dim]target {made.target}, {show_time(made.time_ns)}, at most {show_bytes(made.peak_bytes)} of memory[/dim]\n"
    )
    console.print(_made.changes(made.source, made.compiled))
    if made.npu is not None:
        console.print(f"[dim]NPU[/dim]          {escape(made.npu.told)}")
    console.print()
    columns = {"Largest error": _made.errors(made.checks), "PSNR": _made.psnrs(made.checks)}
    if made.quantizations:
        scales = {one.name: f"{one.scale:.4g}" for one in made.quantizations}
        columns = {"Scale": scales, "Zero": {one.name: str(one.zero_point) for one in made.quantizations}, **columns}
    console.print(_made.tensors(made.inputs, made.outputs, columns))
    _made.notices(console, made.notices, made.tools)


def _numbers(made: Compiled) -> str:
    """How the compiled model's numbers stand to the source's, in a line."""
    from rich.markup import escape

    from dynolab.spec.compiles import Numbers

    colour = {Numbers.POOR: "red", Numbers.NOT_COMPARED: "yellow"}.get(made.numbers, "green")
    return f"[{colour}]{escape(made.headline)}[/{colour}]"
