"""``dynolab compile``: a model becomes the one that a runtime takes, and is compared with its source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from dynolab.spec.compiles import Compiled, OutputCheck
    from dynolab.spec.tensors import TensorSpec


@click.command("compile")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="A new folder for the compiled model; default: NAME-TARGET."
)
@click.option(
    "--options", default="", help='Options in AI Hub\'s grammar, such as "--target_runtime onnx --output_names logits".'
)
@click.option(
    "--input-specs",
    "specs",
    multiple=True,
    metavar="NAME=1,3,224,224[:TYPE]",
    help="Shape and type of one input; float32 if no type is given.",
)
@click.option(
    "--seed", type=int, default=20250, show_default=True, help="Seed of the inputs that the numbers are compared on."
)
@click.option(
    "--timeout",
    type=float,
    default=1800.0,
    show_default=True,
    metavar="SECONDS",
    help="End the toolchain after this long.",
)
@click.option("--memory-limit", metavar="SIZE", help="Bound of the toolchain's memory, such as 4GB.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    model: Path,
    output: Path | None,
    options: str,
    specs: tuple[str, ...],
    seed: int,
    timeout: float,
    memory_limit: str | None,
    as_json: bool,
) -> int:
    """Compile MODEL for a target, and compare its outputs with those of MODEL.

    \b
    MODEL is an .onnx, TorchScript .pt or exported .pt2 file, or a folder or zip with one.
    `dynolab toolchains` lists the targets.
    \b
    dynolab compile net.pt2
    dynolab compile net.pt -o compiled --input-specs image=1,3,224,224 --options "--output_names logits"
    \b
    Exit status 1 when the numbers are not those of MODEL any more.
    """  # noqa: D301 - click wants the backspace character itself
    import json

    from dynolab.cli import _parse
    from dynolab.connections.local import plugin as local
    from dynolab.jobs.base import Context
    from dynolab.jobs.compile import compile_model
    from dynolab.spec import codec, compile_options
    from dynolab.spec.compiles import CompileSpec

    output = output or Path(f"{model.stem}-{compile_options.parse(options).target}")
    spec = CompileSpec(
        model=model,
        folder=output,
        options=options,
        input_specs=_parse.specs(specs),
        seed=seed,
        timeout_s=timeout,
        memory_limit_bytes=_parse.size(memory_limit) if memory_limit else None,
    )
    from rich.console import Console

    with Console(stderr=True).status(f"Compiling {model.name}"):
        made = compile_model(spec, Context(local, lambda _: None))
    if as_json:
        click.echo(json.dumps(codec.encode(made), indent=1))
    else:
        _show(made, output)
    return int(any(one.is_poor for one in made.checks))


def _show(made: Compiled, output: Path) -> None:
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
    console.print(f"\ncompiled: {escape(str(output / made.entry))}", soft_wrap=True)


def _numbers(made: Compiled) -> str:
    """How the compiled model's numbers stand to the source's, in a line."""
    from rich.markup import escape

    worst = made.worst
    if made.check_reason is not None or worst is None:
        reason = made.check_reason or next((one.reason for one in made.checks if one.reason), "it has no outputs")
        return f"[yellow]its numbers were not compared: {escape(reason)}[/yellow]"
    if all(one.is_equal for one in made.checks):
        return "[green]the same numbers, bit by bit[/green]"
    colour = "red" if worst.is_poor else "green"
    return f"[{colour}]numbers within {worst.max_abs_error:.2g} of the source's ({worst.psnr_db:.1f} dB)[/{colour}]"


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
