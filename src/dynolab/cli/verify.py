"""``dynolab verify``: do two models, or two runtimes, give the same numbers?"""

from __future__ import annotations

from pathlib import Path

import click

from dynolab.cli import _device


@click.command("verify")
@click.argument("a", metavar="A", type=click.Path(path_type=Path))
@click.argument("b", metavar="[B]", required=False, type=click.Path(path_type=Path))
@click.option("--jobs", is_flag=True, help="A and B are ids of inference jobs at the hub: their outputs are compared.")
@click.option("--runtimes", "both", metavar="NAME,NAME", help="Runtimes of A and of B; default: each format's own.")
@click.option("--runtime-a", help="Runtime of A.")
@click.option("--runtime-b", help="Runtime of B.")
@_device.option("The device that runs both; outputs are compared here")
@click.option("--device-a", metavar="ADDRESS", help="The device that runs A, and B runs here.")
@click.option("--device-b", metavar="ADDRESS", help="The device that runs B, and A runs here.")
@click.option("--wait", metavar="30m", help="Wait at most so long until nobody else measures on the device.")
@click.option("--options-a", default="", help="Options of A, in AI Hub's grammar.")
@click.option("--options-b", default="", help="Options of B.")
@click.option(
    "--data", type=click.Path(path_type=Path), help="Inputs: .h5, .npz or .npy, or a folder of such; default: random."
)
@click.option("--samples", type=int, metavar="N", help="At most so many of the data; so many random ones, else 4.")
@click.option("--seed", type=int, default=20250, show_default=True, help="Seed of random inputs.")
@click.option(
    "--input-shape", "shapes", multiple=True, metavar="NAME=1,3,224,224", help="Shape of a random input of A."
)
@click.option("--input-range", "ranges", multiple=True, metavar="NAME=LOW,HIGH", help="Range of its values.")
@click.option(
    "--at-least", "limits", multiple=True, metavar="40dB|99%", help="What passes; a share is of answers. Default: 40dB."
)
@click.option("--layers/--no-layers", default=None, help="Compare layers, too; default: where the numbers are poor.")
@click.option("--times", is_flag=True, help="Layers, with what each takes, measured here and now.")
@click.option(
    "--profile",
    "profiles",
    multiple=True,
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="The same, from a profile.json of A or B.",
)
@click.option(
    "--timeout", type=float, default=1800.0, show_default=True, metavar="SECONDS", help="End after this long."
)
@click.option("--memory-limit", metavar="SIZE", help="Bound of the memory that both models take, such as 4GB.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    a: Path,
    b: Path | None,
    jobs: bool,
    both: str | None,
    runtime_a: str | None,
    runtime_b: str | None,
    device: str | None,
    device_a: str | None,
    device_b: str | None,
    wait: str | None,
    options_a: str,
    options_b: str,
    data: Path | None,
    samples: int | None,
    seed: int,
    shapes: tuple[str, ...],
    ranges: tuple[str, ...],
    limits: tuple[str, ...],
    layers: bool | None,
    times: bool,
    profiles: tuple[Path, ...],
    timeout: float,
    memory_limit: str | None,
    as_json: bool,
) -> int:
    """Run A and B, or A in two ways, on the same inputs, and hold their outputs against each other.

    \b
    dynolab verify net.onnx net.tflite
    dynolab verify net.onnx --runtimes onnxruntime,openvino
    dynolab verify net.onnx --device-b ssh://pi@board
    dynolab verify net.onnx net-w8a8/net.onnx --data samples.npz --at-least 20dB --at-least 95%
    dynolab verify --jobs j9kqrng5evh8t j7k3w5ummun5q
    \b
    Exit status 1 when B's numbers are not A's: an output below 40 dB, or what --at-least says.
    """  # noqa: D301 - click wants the backspace character itself
    import json

    from dynolab.cli import _parse, _verified
    from dynolab.cli.report import read
    from dynolab.spec import codec, input_shapes
    from dynolab.spec.verifies import VerifySpec, parse_at_least, sides_of

    at_least = parse_at_least(limits)
    if jobs:
        given = {
            "--data": data,
            "--runtimes": both,
            "--runtime-a": runtime_a,
            "--runtime-b": runtime_b,
            "--device": device,
            "--device-a": device_a,
            "--device-b": device_b,
            "--wait": wait,
            "--profile": profiles,
        }
        return _verified.show_jobs((str(a), "" if b is None else str(b)), at_least, given, as_json)
    where = _verified.places(device, device_a, device_b, looks_inside=bool(layers or times or profiles))
    sides = sides_of((a, b), both, (runtime_a, runtime_b), (options_a, options_b), where)
    spec = VerifySpec(
        *sides,
        data=data,
        samples=samples,
        seed=seed,
        input_shapes=input_shapes.parse_shapes(shapes, "--input-shape"),
        input_ranges=_parse.ranges(ranges),
        at_least=at_least,
        layers=True if (times or profiles) and layers is None else layers,
        times=times,
        profiles=tuple(map(read, profiles)),
        timeout_s=timeout,
        memory_limit_bytes=_parse.size(memory_limit) if memory_limit else None,
    )
    found = _verified.run(spec, where, _parse.wait(wait))
    if as_json:
        click.echo(json.dumps(codec.encode(found), indent=1))
    else:
        _verified.show(found)
    return int(not found.passes)
