"""What the commands that talk to a hub share."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from dynolab.client.client import Client
    from dynolab.client.datasets import Dataset
    from dynolab.client.jobs import Job
    from dynolab.client.settings import ClientConfig

COLOURS = {
    "done": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "preparing": "cyan",
    "queued": "",
}
"""A job's state, at a glance."""
WIDEST = 10_000
"""Characters of a line that no terminal shows."""


AS_JSON = click.option("--json", "as_json", is_flag=True, help="As JSON.")


PROJECT = click.option(
    "--project",
    metavar="ORGANISATION.PROJECT",
    help='Work in this project; "": in none.  [default: DYNOLAB_PROJECT]',
)


@contextmanager
def client(
    config: ClientConfig | None = None, project: str | None = None, *, tells_token_end: bool = True
) -> Iterator[Client]:
    """The client of a hub, by default the configured one. Where nobody looks, its progress is told in lines; in the end, that the token ends soon."""
    from dynolab.cli import _progress
    from dynolab.client.client import Client

    display = None if sys.stderr.isatty() else _progress.Lines()
    notices: list[str] = []

    def token_ends(pages: str, end: datetime, left: timedelta) -> None:
        if tells_token_end and not notices:
            notices.append(_token_ends(pages, end, left))

    opened = Client(config, default_project_id=project, display=display, token_ends=token_ends, tell=_tell)
    try:
        yield opened
    finally:
        opened.close()
        for notice in notices:
            click.echo(notice, err=True)


def _tell(text: str) -> None:
    """Through Python's own stream: a live line on a terminal moves down for what comes there, not for what click prints."""
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _token_ends(pages: str, end: datetime, left: timedelta) -> str:
    from dynolab.client import settings, token_end

    way = "" if settings.token_file() is None else "`dynolab token rotate`, or "
    return f"note: {token_end.told(end, left)}: {way}the page {pages}/account/ gives it a new secret"


@contextmanager
def client_in(project: str | None, *, makes: bool = True) -> Iterator[Client]:
    """The client of the configured hub, which works in a project, and ``makes`` something there; None: in the configured one, if any.

    Raises :class:`~dynolab.errors.SpecInvalid`, :class:`~dynolab.errors.NotFound` and :class:`~dynolab.errors.Forbidden` before anything is done.
    """
    from dynolab.spec.projects import check_project

    with client(project=check_project(project, "--project") if project else project) as opened:
        opened.check_project(makes=makes)
        yield opened


def show(content: object) -> None:
    """Print a table, or a line: as wide as the terminal, or, for a file or another program, as it needs."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal and "COLUMNS" not in os.environ:
        console.width = WIDEST
    console.print(content)


def table(titles: Sequence[str], rows: Sequence[Sequence[str]], right: Sequence[str] = ()) -> object:
    """A table without lines; the columns of ``right`` hold numbers. Cells are markup.

    No cell is cut. The first one is what a person copies into the next command: it stays on one line as long as it can.
    """
    from rich.table import Table

    made = Table(box=None, pad_edge=False, header_style="bold")
    for at, title in enumerate(titles):
        made.add_column(title, justify="right" if title in right else "left", overflow="fold", no_wrap=at == 0)
    for row in rows:
        made.add_row(*row)
    return made


def print_json(document: object) -> None:
    """Print a document for programs."""
    click.echo(json.dumps(document, indent=1))


def answer(text: str, document: object, as_json: bool) -> None:
    """Print a text, or the document that says the same."""
    if as_json:
        print_json(document)
    else:
        click.echo(text.removesuffix("\n"))


def tell(job: Job, as_json: bool) -> None:
    """Where a job stands: in a few lines, or as JSON."""
    from rich.markup import escape

    from dynolab.client.queue_text import queue_text

    document = job.document
    if as_json:
        print_json(document)
        return
    show(f"[bold]{document['id']}[/bold] {escape(document['name'])}: {state(document)}")
    if found := queue_text(document):
        click.echo(f"on {document['device']['name']}: {found}")
    if told := attempts_text(document):
        click.echo(told)
    if document["failure"]:
        click.echo(document["failure"]["message"])
        if document["failure"]["hint"]:
            click.echo(f"hint: {document['failure']['hint']}")
    elif document["state"] in ("queued", "preparing", "running"):
        _tell_terms(document)


def attempts_text(document: Mapping[str, Any]) -> str:
    """Which attempt it is, if not the first, and why those before ended; empty: there was none, or the job's own failure tells."""
    from dynolab.report.base import line

    attempts = document.get("attempts", ())
    if document["failure"] or not attempts:
        return ""
    last = attempts[-1]
    told = [f"attempt {last['number']}"] if last["number"] > 1 and last["state"] not in ("lost", "failed") else []
    for one in attempts:
        if one["state"] in ("lost", "failed"):
            how = "was lost" if one["state"] == "lost" else "failed"
            reason = f": {line(one['failure']['message'])}" if one["failure"] else ""
            told.append(f"attempt {one['number']} {how}{reason}")
    return "; ".join(told)


def _tell_terms(document: Mapping[str, Any]) -> None:
    """What a job that is not over was submitted with, beyond model and device."""
    if document["priority"]:
        click.echo(f"priority {document['priority']}")
    if document["deadline_s"] is not None:
        click.echo(f"an attempt may run for {document['deadline_s']:g} s")


def tell_failure(job: Job) -> None:
    """Why a job failed, on standard error, as a command's own error is told."""
    from dynolab.cli import main
    from dynolab.errors import from_dict

    main.show(from_dict(job.document["failure"]))


def dataset(client: Client, named: str) -> Dataset:
    """The dataset of a file, which is uploaded, or of an id. Raises :class:`~dynolab.errors.NotFound`."""
    from dynolab.errors import NotFound

    if Path(named).is_file():
        return client.upload_dataset(named)
    if not (named.isascii() and named.isalnum()):
        raise NotFound(f"there is no dataset file {named}", hint="an .h5 file, or the id of a dataset at the hub")
    return client.get_dataset(named)


def state(document: Mapping[str, Any]) -> str:
    """A job's state, coloured."""
    colour = COLOURS.get(document["state"], "")
    return f"[{colour}]{document['state']}[/{colour}]" if colour else str(document["state"])


def ago(text: str | None) -> str:
    """How long an instant is past, in the largest unit that fits."""
    if text is None:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"


def instant(text: str) -> str:
    """An instant in UTC, to the minute."""
    return f"{datetime.fromisoformat(text).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
