"""``dynolab models``: the hub's models, listed, uploaded, fetched, deleted."""

from __future__ import annotations

from pathlib import Path

import click

from dynolab.cli import _files, _hub


@click.group("models", invoke_without_command=True)
@_files.LIMIT
@_files.OFFSET
@_files.NAMED
@click.option("--kind", default="", metavar="FORMAT", help="Only those of this format, such as onnx or tflite.")
@_files.CREATOR
@_hub.PROJECT
@_hub.AS_JSON
@click.pass_context
def command(
    ctx: click.Context, limit: int, offset: int, name: str, kind: str, creator: str, project: str | None, as_json: bool
) -> None:
    """List models, or: show, upload, download, rename, delete one.

    \b
    dynolab models --name mobilenet
    dynolab models upload FILE
    dynolab models delete ID
    """  # noqa: D301 - click wants the backspace character itself
    if ctx.invoked_subcommand is not None:
        return
    within, found = _files.find("model", project, offset, limit, name=name, kind=kind, creator=creator)
    if as_json:
        _hub.print_json(found)
        return
    some = bool(name or kind or creator or offset)
    _files.show("model", within, found, fits=some, more={"Format": lambda one: str(one["kind"])})


@command.command("upload")
@click.argument("file", type=click.Path(exists=True, path_type=Path))
@click.option("--name", default=None, help="What it is to be called. Default: the file's name.")
@_hub.PROJECT
@_hub.AS_JSON
def upload(file: Path, name: str | None, project: str | None, as_json: bool) -> None:
    """Upload a model's file, folder or .zip; prints its id."""
    with _hub.client_in(project) as client:
        made = client.upload_model(file, name)
    _hub.answer(made.id, made.document, as_json)


_files.add_verbs(command, "model")
