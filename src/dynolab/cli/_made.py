"""What commands print of a model that was made of another."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Console
    from rich.table import Table

    from dynolab.spec.compiles import OutputCheck, Side
    from dynolab.spec.measurements import Notice
    from dynolab.spec.tensors import TensorSpec


def changes(before: Side, after: Side) -> Table:
    """What a model's files say of it beside the source's; one value where they say the same."""
    from rich.table import Table
    from rich.text import Text

    from dynolab.spec.show import show_bytes, show_count

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), show_header=False)
    table.add_column(style="dim", no_wrap=True)
    table.add_column()
    sides = before, after
    rows = {
        "format": tuple(str(one.format) for one in sides),
        "size": tuple(show_bytes(one.file_bytes) for one in sides),
        "operators": tuple(None if one.operators is None else show_count(one.operators) for one in sides),
        "parameters": tuple(None if one.parameters is None else show_count(one.parameters) for one in sides),
        "precision": tuple(one.precision for one in sides),
        "version": tuple(one.schema for one in sides),
    }
    for name, values in rows.items():
        table.add_row(name, Text(" -> ".join(dict.fromkeys(value for value in values if value is not None))))
    return table


def tensors(
    inputs: Sequence[TensorSpec], outputs: Sequence[TensorSpec], columns: Mapping[str, Mapping[str, str]]
) -> Table:
    """Inputs and outputs, and beside them columns of texts by the tensor's name."""
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0), header_style="dim")
    for title in ("", "Name", "Type", "Shape", *columns):
        table.add_column(title, overflow="fold", no_wrap=title not in ("Name", "Shape"))
    for kind, specs in (("input", inputs), ("output", outputs)):
        for one in specs:
            texts = (Text(of.get(one.name, "")) for of in columns.values())
            table.add_row(kind, Text(one.name), one.dtype, Text(one.shape_text), *texts)
    return table


def errors(checks: Sequence[OutputCheck]) -> dict[str, str]:
    """The largest error of each output, or why there is none."""
    return {
        one.name: (one.reason or "") if one.max_abs_error is None else "none" if one.is_equal else f"{one.max_abs_error:.2g}"
        for one in checks
    }  # fmt: skip


def psnrs(checks: Sequence[OutputCheck]) -> dict[str, str]:
    """The PSNR of each output that has one."""
    return {one.name: f"{one.psnr_db:.1f} dB" for one in checks if one.psnr_db is not None}


def notices(console: Console, found: Sequence[Notice], tools: Mapping[str, str]) -> None:
    """Print notices, and the tools' versions."""
    from rich.markup import escape

    for notice in found:
        console.print(f"[{'dim' if notice.level == 'info' else 'yellow'}]{escape(notice.text)}[/]")
    console.print(f"[dim]{escape(', '.join(f'{name} {version}' for name, version in tools.items()))}[/dim]")
