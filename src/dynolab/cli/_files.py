"""``dynolab models`` and ``dynolab datasets``: what both have in common."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import click

from dynolab.cli import _hub

if TYPE_CHECKING:
    from collections.abc import Callable

    from dynolab.client.client import Client
    from dynolab.client.datasets import Dataset
    from dynolab.client.models import Model

Kind = Literal["model", "dataset"]
LIMIT = click.option("--limit", type=click.IntRange(1), default=20, show_default=True, help="At most so many, the newest.")  # fmt: skip
OFFSET = click.option("--offset", type=click.IntRange(0), default=0, show_default=True, help="Without so many of the newest: the next page.")  # fmt: skip
CREATOR = click.option("--creator", default="", metavar="EMAIL", help="Only what this e-mail address or name owns.")
NAMED = click.option("--name", default="", metavar="TEXT", help="Only those with this in their name.")


def find(what: Kind, project: str | None, offset: int, limit: int, **wanted: str) -> tuple[str, list[dict[str, Any]]]:
    """The project that was looked at, empty: all; and the hub's documents, the newest first."""
    with _hub.client_in(project, makes=False) as client:
        within = client.project
        asked = {name: text or None for name, text in wanted.items()}
        return within, client.transport.list_documents(f"{what}s", offset, limit, project=within or None, **asked)


def show(
    kind: Kind, within: str, found: list[dict[str, Any]], *, fits: bool, more: dict[str, Callable[[Any], str]]
) -> None:
    """Print a table; ``more``: columns of this kind alone. ``fits``: that only some were asked for, by more than the project."""
    from rich.markup import escape

    from dynolab.spec.show import show_bytes

    if not found:
        where = f" in {within}" if within else ""
        nothing = f"no {kind}{where} fits" if fits else f"no {kind}{where} yet: `dynolab {kind}s upload FILE` makes one"
        _hub.show(escape(nothing))
        return
    names_projects = not within and any(one["project"] for one in found)
    rows = [
        (
            one["id"],
            escape(one["name"]),
            *([escape(one["project"] or "")] if names_projects else []),
            *(escape(cell(one)) for cell in more.values()),
            "no bytes yet" if one["size_bytes"] is None else show_bytes(one["size_bytes"]),
            escape(one["owner"]),
            _hub.ago(one["created_at"]),
        )
        for one in found
    ]
    projects = ["Project"] if names_projects else []
    titles = (kind.capitalize(), "Name", *projects, *more, "Size", "Owner", "Made")
    _hub.show(_hub.table(titles, rows, right=("Size",)))


def add_verbs(group: click.Group, kind: Kind) -> None:
    """Give a group what is done with one: show, download, rename, share, delete."""

    def handle(client: Client, id: str) -> Model | Dataset:
        return client.get_model(id) if kind == "model" else client.get_dataset(id)

    @group.command("show", help=f"Show one {kind}, with whom it is shared.")
    @click.argument("id")
    @_hub.AS_JSON
    def show(id: str, as_json: bool) -> None:
        with _hub.client() as client:
            one = handle(client, id)
            document = {**one.document, "shared_with": one.get_sharing()}
        if as_json:
            _hub.print_json(document)
            return
        wide = max(map(len, document))
        for name, value in document.items():
            text = ", ".join(value) if isinstance(value, list) else value
            click.echo(f"{name:<{wide}}  {'-' if text in (None, '') else text}")

    @group.command("download", help=f"Fetch a {kind}'s file.")
    @click.argument("id")
    @click.option("-o", "--output", type=click.Path(path_type=Path), default=".", help="A folder, or a file's name.")
    @_hub.AS_JSON
    def download(id: str, output: Path, as_json: bool) -> None:
        with _hub.client() as client:
            place = handle(client, id).download(output)
        _hub.answer(str(place), {"id": id, "file": str(place)}, as_json)

    @group.command("rename", help=f"Give a {kind} another name.")
    @click.argument("id")
    @click.argument("name")
    @_hub.AS_JSON
    def rename(id: str, name: str, as_json: bool) -> None:
        with _hub.client() as client:
            one = handle(client, id)
            one.set_name(name)
        _hub.answer(f"{id} is called {one.name}", one.document, as_json)

    @group.command("delete", help=f"Delete a {kind} with its bytes. One that a job needs which is not over stays.")
    @click.argument("id")
    @_hub.AS_JSON
    def delete(id: str, as_json: bool) -> None:
        with _hub.client() as client:
            handle(client, id).delete()
        _hub.answer(f"{id} is deleted", {"id": id, "deleted": True}, as_json)
