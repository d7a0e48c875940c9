"""``dynolab quantize``: a float model becomes one of integers, calibrated with data, and is compared with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dynolab.spec.quantizes import Accuracy, Quantized

_BITS = {"int4": 4, "int8": 8, "int16": 16}


@click.command("quantize")
@click.argument("model", type=click.Path(path_type=Path))
@click.option(
    "--data",
    required=True,
    type=click.Path(path_type=Path),
    help="Calibration data: .h5, .npz or .npy, or a folder of such.",
)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="A new folder for the quantised model; default: NAME-w8a8."
)
@click.option("--weights", type=click.Choice(["int8", "int4"]), default="int8", show_default=True)
@click.option("--activations", type=click.Choice(["int8", "int16"]), default="int8", show_default=True)
@click.option("--options", default="", help='Options in AI Hub\'s grammar, such as "--range_scheme min_max".')
@click.option(
    "--timeout", type=float, default=1800.0, show_default=True, metavar="SECONDS", help="End after this long."
)
@click.option("--memory-limit", metavar="SIZE", help="Bound of the quantising process's memory, such as 4GB.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    model: Path,
    data: Path,
    output: Path | None,
    weights: str,
    activations: str,
    options: str,
    timeout: float,
    memory_limit: str | None,
    as_json: bool,
) -> int:
    """Quantise MODEL with calibration data, and compare its outputs with those of MODEL.

    \b
    MODEL is a float .onnx or .tflite file, or a folder or zip with one. An array of calibration data holds samples along its first axis.
    \b
    dynolab quantize net.onnx --data samples.npz
    dynolab quantize net.onnx --data samples.h5 -o quantised --activations int16
    \b
    Exit status 1 when the numbers are poor: below 20 dB, or fewer than 90 % of a classifier's answers the same.
    """  # noqa: D301 - click wants the backspace character itself
    import json

    from rich.console import Console

    from dynolab.cli import _parse
    from dynolab.connections.local import plugin as local
    from dynolab.jobs.base import Context
    from dynolab.jobs.quantize import quantize_model
    from dynolab.spec import codec
    from dynolab.spec.quantizes import QuantizeSpec

    output = output or Path(f"{model.stem}-w{_BITS[weights]}a{_BITS[activations]}")
    spec = QuantizeSpec(
        model=model,
        data=data,
        folder=output,
        weights=weights,
        activations=activations,
        options=options,
        timeout_s=timeout,
        memory_limit_bytes=_parse.size(memory_limit) if memory_limit else None,
    )
    with Console(stderr=True).status(f"Quantising {model.name}"):
        made = quantize_model(spec, Context(local, lambda _: None))
    if as_json:
        click.echo(json.dumps(codec.encode(made), indent=1))
    else:
        _show(made, output)
    return int(made.is_poor)


def _show(made: Quantized, output: Path) -> None:
    from rich.console import Console
    from rich.markup import escape

    from dynolab.cli import _made
    from dynolab.spec.show import show_bytes, show_time

    console = Console(highlight=False)
    size = f"{show_bytes(made.source.file_bytes)} -> {show_bytes(made.quantized.file_bytes)}"
    title = f"[bold]{escape(made.name)} -> {escape(made.entry)}[/bold]  {size}, {_numbers(made)}"
    console.print(title, soft_wrap=True)
    for notice in made.notices:
        if notice.level != "info":
            console.print(f"[bold red]warning:[/bold red] {escape(notice.text)}", soft_wrap=True)
    kinds = f"weights {made.weights}, activations {made.activations} ({made.range_scheme} of {_samples(made.calibration_samples)})"
    console.print(
        f"[dim]{kinds}, {show_time(made.time_ns)}, at most {show_bytes(made.peak_bytes)} of memory[/dim]",
        soft_wrap=True,
    )
    if made.accuracy is not None:
        kept = "kept from the calibration" if made.held_out else "of the calibration: others may come out worse"
        console.print(
            f"[dim]compared with the float model on {_samples(made.check_samples)} {kept}[/dim]", soft_wrap=True
        )
    console.print()
    console.print(_made.changes(made.source, made.quantized))
    console.print()
    console.print(_made.tensors(made.inputs, made.outputs, _columns(made)))
    _made.notices(console, [one for one in made.notices if one.level == "info"], made.tools)
    console.print(f"\nquantised: {escape(str(output / made.entry))}", soft_wrap=True)


def _samples(count: int) -> str:
    return f"{count} sample{'' if count == 1 else 's'}"


def _numbers(made: Quantized) -> str:
    """How the quantised model's numbers stand to the float model's, in a line."""
    from rich.markup import escape

    from dynolab.spec.quantizes import figures

    if made.accuracy is None:
        return f"[yellow]its numbers were not compared: {escape(made.check_reason or 'no reason')}[/yellow]"
    text = f"[{_colour(made.accuracy)}]{figures(made.accuracy)}[/]"
    here = made.accuracy_here
    if here is None or figures(here) == figures(made.accuracy):
        return text
    return f"{text}; as this processor computes it [{_colour(here)}]{figures(here)}[/]"


def _colour(accuracy: Accuracy) -> str:
    return "red" if accuracy.is_poor else "green"


def _columns(made: Quantized) -> dict[str, dict[str, str]]:
    """Scale and zero point of inputs and outputs, and of each output how far it is from the float model's."""
    from dynolab.cli import _made

    columns = {
        "Quantised": {one.name: one.dtype for one in made.quantizations},
        "Scale": {one.name: f"{one.scale:.4g}" for one in made.quantizations},
        "Zero": {one.name: str(one.zero_point) for one in made.quantizations},
    }
    if made.accuracy is not None:
        columns["Largest error"], columns["PSNR"] = (
            _made.errors(made.accuracy.outputs),
            _made.psnrs(made.accuracy.outputs),
        )
    return columns
