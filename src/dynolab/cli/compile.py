"""``dynolab compile``: a model becomes the one that a runtime takes, and is compared with its source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import click


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
    "--chipset", default="", metavar="NAME", help="Of QNN targets: sm8550, soc-model:43 or v73; see docs/toolchains.md."
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
@click.option("--measure", is_flag=True, help="Then profile MODEL and what became of it, side by side.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    model: Path,
    output: Path | None,
    options: str,
    specs: tuple[str, ...],
    chipset: str,
    seed: int,
    timeout: float,
    memory_limit: str | None,
    measure: bool,
    as_json: bool,
) -> int:
    """Compile MODEL for a target, and compare its outputs with those of MODEL.

    \b
    MODEL is an .onnx, TorchScript .pt or exported .pt2 file, or a folder or zip with one.
    `dynolab toolchains` lists the targets.
    \b
    dynolab compile net.pt2
    dynolab compile net.pt -o compiled --input-specs image=1,3,224,224 --options "--output_names logits"
    dynolab compile net.pt2 --chipset sm8550 --options "--target_runtime precompiled_qnn_onnx"
    \b
    Exit status 1 when the numbers are not those of MODEL any more.
    """  # noqa: D301 - click wants the backspace character itself
    import json

    from dynolab.cli import _compiled, _notes, _parse
    from dynolab.connections.base import this_machine
    from dynolab.errors import SpecInvalid
    from dynolab.jobs.base import Context
    from dynolab.jobs.compile import compile_model
    from dynolab.spec import codec, compile_options
    from dynolab.spec.compiles import CompileSpec
    from dynolab.spec.progress import describe

    if measure and as_json:
        raise SpecInvalid("--measure and --json are given", hint="`dynolab profile --format json` profiles each")
    output = output or Path(f"{model.stem}-{compile_options.parse(options).target}")
    spec = CompileSpec(
        model=model,
        folder=output,
        options=options,
        input_specs=_parse.specs(specs),
        chipset=chipset,
        seed=seed,
        timeout_s=timeout,
        memory_limit_bytes=_parse.size(memory_limit) if memory_limit else None,
    )
    with _notes.follow(f"compiling {model.name}") as note:
        made = compile_model(spec, Context(this_machine(), lambda event: note(describe(event))))
    if as_json:
        click.echo(json.dumps(codec.encode(made), indent=1))
    else:
        _compiled.show(made)
        click.echo(f"\ncompiled: {output / made.entry}")
    if measure:
        _measure([model, output / made.entry], {name: one.shape for name, one in spec.input_specs.items()})
    return int(any(one.is_poor for one in made.checks))


def _measure(models: Sequence[Path], shapes: Mapping[str, Sequence[int]]) -> None:
    """Profile the models one after the other, and print both in one report.

    Raises what a profile does: what compile made stays, and so does what was measured before.
    """
    from dynolab.cli import _output, _progress
    from dynolab.connections.base import this_machine
    from dynolab.jobs.base import Context
    from dynolab.jobs.profile import plugin as job
    from dynolab.spec.jobs import ProfileSpec

    found = []
    for one in models:
        spec = job.validate(ProfileSpec(model=one, input_shapes={name: tuple(shape) for name, shape in shapes.items()}))
        with _progress.follow(spec, several=True) as progress:
            found.append(job.run(spec, Context(this_machine(), progress)))
    click.echo()
    _output.show(found, "text")
