"""``dynolab compile``: a model becomes the one that a runtime takes, and is compared with its source."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dynolab.spec.compiles import Compiled


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

    from dynolab.cli import _made
    from dynolab.spec.show import show_bytes, show_time

    console = Console(highlight=False)
    title = f"[bold]{escape(made.name)} -> {escape(made.entry)}[/bold]  {_numbers(made)}"
    console.print(title, soft_wrap=True)
    console.print(
        f"[dim]target {made.target}, {show_time(made.time_ns)}, at most {show_bytes(made.peak_bytes)} of memory[/dim]\n"
    )
    console.print(_made.changes(made.source, made.compiled))
    console.print()
    columns = {"Largest error": _made.errors(made.checks), "PSNR": _made.psnrs(made.checks)}
    console.print(_made.tensors(made.inputs, made.outputs, columns))
    _made.notices(console, made.notices, made.tools)
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
