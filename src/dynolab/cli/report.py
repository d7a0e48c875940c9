"""``dynolab report``: any report from profile.json alone."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from dynolab.spec.profiles import Profile


@click.command("report")
@click.argument("documents", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--format", "form", default="text", show_default=True, help="text, html, json, csv, markdown, trace, ...")
@click.option("-o", "--output", type=click.Path(path_type=Path), help="File to write; default: standard output.")
def command(documents: tuple[Path, ...], form: str, output: Path | None) -> int:
    """Render profile.json DOCUMENTS as text, html, csv, markdown, trace, nodedata, bmf, aihub or json.

    \b
    dynolab report out/profile.json --format markdown
    dynolab report a/profile.json b/profile.json --format html -o both.html
    """  # noqa: D301 - click wants the backspace character itself
    from dynolab.cli import _output

    chosen = _output.report(form)
    text = chosen.render([read(path) for path in documents])
    if output is None:
        click.echo(text)
    else:
        _output.write_file(output, text)
        click.echo(f"report: {output}")
    return 0


def read(path: Path) -> Profile:
    """The profile in a file. Raises :class:`~dynolab.errors.UserError` for one that is none."""
    from dynolab.errors import NotFound
    from dynolab.report import json as json_report

    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(f"{path} cannot be read: {error}", hint="name a profile.json") from error
    return json_report.load(text)
