"""``dynolab quantize``: a float model becomes one of integers, calibrated with data, and is compared with it."""

from __future__ import annotations

from pathlib import Path

import click

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

    from dynolab.cli import _parse, _quantized
    from dynolab.connections.base import this_machine
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
        made = quantize_model(spec, Context(this_machine(), lambda _: None))
    if as_json:
        click.echo(json.dumps(codec.encode(made), indent=1))
    else:
        _quantized.show(made)
        click.echo(f"\nquantised: {output / made.entry}")
    return int(made.is_poor)
