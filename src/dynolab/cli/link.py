"""``dynolab link``: several models become graphs of one file for an NPU."""

from __future__ import annotations

from pathlib import Path

import click


@click.command("link")
@click.argument("models", type=click.Path(path_type=Path), nargs=-1, required=True)
@click.option(
    "-o", "--output", type=click.Path(path_type=Path), help="A new folder for the linked file; default: NAME-linked."
)
@click.option("--chipset", required=True, metavar="NAME", help="What it is for: sm8550, soc-model:43 or v73.")
@click.option("--options", default="", help='Options in AI Hub\'s grammar, such as "--qairt_version default".')
@click.option(
    "--timeout", type=float, default=1800.0, show_default=True, metavar="SECONDS", help="End it after this long."
)
@click.option("--memory-limit", metavar="SIZE", help="Bound of its memory, such as 4GB.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def command(
    models: tuple[Path, ...],
    output: Path | None,
    chipset: str,
    options: str,
    timeout: float,
    memory_limit: str | None,
    as_json: bool,
) -> None:
    """Link MODELS into one file for Qualcomm's NPU, in which common weights stand once.

    \b
    A model is a file or folder as `dynolab compile` takes it, or the folder that it
    left for the target qnn_dlc: with its names, shapes and layouts.
    \b
    dynolab link prompt-qnn_dlc token-qnn_dlc --chipset sm8550 -o both
    """  # noqa: D301 - click wants the backspace character itself
    import json

    from dynolab.cli import _linked, _notes, _parse
    from dynolab.connections.base import this_machine
    from dynolab.jobs.base import Context
    from dynolab.jobs.link import link_models
    from dynolab.spec import codec
    from dynolab.spec.links import LinkSource, LinkSpec
    from dynolab.spec.progress import describe

    output = output or Path(f"{models[0].stem}-linked")
    spec = LinkSpec(
        sources=tuple(LinkSource(model) for model in models),
        folder=output,
        chipset=chipset,
        options=options,
        timeout_s=timeout,
        memory_limit_bytes=_parse.size(memory_limit) if memory_limit else None,
    )
    with _notes.follow(f"linking {len(models)} models") as note:
        made = link_models(spec, Context(this_machine(), lambda event: note(describe(event))))
    if as_json:
        click.echo(json.dumps(codec.encode(made), indent=1))
    else:
        _linked.show(made)
        click.echo(f"\nlinked: {output / made.entry}")
