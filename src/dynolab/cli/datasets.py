"""``dynolab datasets``: the hub's datasets, listed, uploaded, fetched, deleted."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from dynolab.cli import _files, _hub


@click.group("datasets", invoke_without_command=True)
@_files.LIMIT
@_files.OFFSET
@_files.NAMED
@_files.CREATOR
@_hub.PROJECT
@_hub.AS_JSON
@click.pass_context
def command(
    ctx: click.Context, limit: int, offset: int, name: str, creator: str, project: str | None, as_json: bool
) -> None:
    """List datasets, or: show, upload, download, rename, delete one.

    \b
    dynolab datasets --name calibration
    dynolab datasets upload FILE.h5
    dynolab datasets delete ID
    """  # noqa: D301 - click wants the backspace character itself
    if ctx.invoked_subcommand is not None:
        return
    within, found = _files.find("dataset", project, offset, limit, name=name, creator=creator)
    if as_json:
        _hub.print_json(found)
        return
    _files.show("dataset", within, found, fits=bool(name or creator or offset), more={"Expires": _expires})


def _expires(one: dict[str, Any]) -> str:
    return f"{one['expires_at'][:10]}" if one["expires_at"] else "never"


@command.command("upload")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--name", default=None, help="What it is to be called. Default: the file's name.")
@_hub.PROJECT
@_hub.AS_JSON
def upload(file: Path, name: str | None, project: str | None, as_json: bool) -> None:
    """Upload an HDF5 file; prints the dataset's id."""
    with _hub.client_in(project) as client:
        made = client.upload_dataset(file, name)
    _hub.answer(made.id, made.document, as_json)


_files.add_verbs(command, "dataset")
