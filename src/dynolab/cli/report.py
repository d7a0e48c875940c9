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
    profiles = [read(path) for path in documents]
    if output is None:
        _output.show(profiles, form)
    else:
        _output.write_file(output, chosen.render(profiles))
        click.echo(f"report: {output}")
    return 0


def read(path: Path) -> Profile:
    """The profile in a file, or in a folder's profile.json. Raises :class:`~dynolab.errors.UserError` for one that is none."""
    from dynolab.errors import NotFound
    from dynolab.report import json as json_report

    file = path / json_report.plugin.file_name if path.is_dir() else path
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        hint = (
            "name a profile.json, or a folder that holds one; of a hub's job, "
            "`dynolab jobs show ID --format json > profile.json` writes it, and the job's page compares it"
        )
        raise NotFound(f"{file} cannot be read: {why}", hint=hint) from error
    return json_report.load(text)
