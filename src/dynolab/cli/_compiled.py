"""A compiled model, as the commands that make one print it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from dynolab.spec.compiles import Compiled, OutputCheck
    from dynolab.spec.tensors import TensorSpec


def show(made: Compiled) -> None:
    """Print it: the answer first, then what changed, then its tensors."""
    from rich.console import Console
    from rich.markup import escape

    from dynolab.spec.show import show_bytes, show_time

    console = Console(highlight=False)
    title = f"[bold]{escape(made.name)} -> {escape(made.entry)}[/bold]  {_numbers(made)}"
    console.print(title, soft_wrap=True)
    console.print(
        f"[dim]target {made.target}, {show_time(made.time_ns)}, at most {show_bytes(made.peak_bytes)} of memory[/dim]\n"
    )
    console.print(_changes(made))
    console.print()
    console.print(_tensors(made))
    for notice in made.notices:
        console.print(f"[{'dim' if notice.level == 'info' else 'yellow'}]{escape(notice.text)}[/]")
    console.print(f"[dim]{escape(', '.join(f'{name} {version}' for name, version in made.tools.items()))}[/dim]")


def _numbers(made: Compiled) -> str:
    """How the compiled model's numbers stand to the source's, in a line."""
    from rich.markup import escape

    from dynolab.spec.compiles import Numbers

    colour = {Numbers.POOR: "red", Numbers.NOT_COMPARED: "yellow"}.get(made.numbers, "green")
    return f"[{colour}]{escape(made.headline)}[/{colour}]"


def _changes(made: Compiled) -> Table:
    """What the compiled model's files say of it beside the source's; one value where they say the same."""
    from rich.table import Table
    from rich.text import Text

    from dynolab.spec.show import show_bytes, show_count

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    a, b = made.source, made.compiled
    rows = {
        "format": (str(a.format), str(b.format)),
        "size": (show_bytes(a.file_bytes), show_bytes(b.file_bytes)),
        "operators": tuple(None if one.operators is None else show_count(one.operators) for one in (a, b)),
        "parameters": tuple(None if one.parameters is None else show_count(one.parameters) for one in (a, b)),
        "precision": (a.precision, b.precision),
        "version": (a.schema, b.schema),
    }
    for name, values in rows.items():
        table.add_row(name, Text(" -> ".join(dict.fromkeys(value for value in values if value is not None))))
    return table


def _tensors(made: Compiled) -> Table:
    """Inputs and outputs, and of each output how far it is from the source's."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "Name", "Type", "Shape", "Largest error", "PSNR"):
        table.add_column(title, overflow="fold", no_wrap=title not in ("Name", "Shape"))
    checks = {one.name: one for one in made.checks}
    rows: Sequence[tuple[str, TensorSpec, OutputCheck | None]] = [
        *(("input", one, None) for one in made.inputs),
        *(("output", one, checks.get(one.name)) for one in made.outputs),
    ]
    for kind, one, check in rows:
        table.add_row(kind, Text(one.name), one.dtype, Text(one.shape_text), *_check(check))
    return table


def _check(check: OutputCheck | None) -> tuple[str, str]:
    if check is None:
        return "", ""
    if check.max_abs_error is None:
        return check.reason or "", ""
    return ("none", "") if check.is_equal else (f"{check.max_abs_error:.2g}", f"{check.psnr_db:.1f} dB")
