"""What a command prints of profiles, and the files it writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click

from dynolab import plugins
from dynolab.errors import Bug, Forbidden
from dynolab.report.base import Report
from dynolab.spec import requirements
from dynolab.spec.profiles import Profile

WRITTEN = ("json", "html", "csv", "trace", "nodedata", "aihub")
"""Reports that ``-o`` writes."""


def report(name: str) -> Report:
    """The report plug-in of that name."""
    found = plugins.load("dynolab.report", name)
    if not isinstance(found, Report):
        raise Bug(f"the plug-in {name} of dynolab.report is no Report")
    return found


def check(output: Path | None, form: str) -> None:
    """Refuse a report or an output folder that will not do, before anything is measured."""
    report(form)
    if output is None:
        return
    place = output
    while not place.exists() and place != place.parent:
        place = place.parent
    if not place.is_dir():
        raise Forbidden(f"-o {output}: {place} is a file, not a folder", hint="name another folder")
    if not os.access(place, os.W_OK | os.X_OK):
        raise Forbidden(f"-o {output}: the folder {place} cannot be written to", hint="name another folder")


def show(profiles: Sequence[Profile], form: str) -> None:
    """Print one report to standard output."""
    chosen = report(form)
    click.echo(chosen.render(profiles), color=sys.stdout.isatty() or None)


def write(profiles: Sequence[Profile], output: Path) -> None:
    """Write the files: straight into the folder for one profile, in a folder for each runtime for several."""
    written = {}
    for profile in profiles:
        folder = output if len(profiles) == 1 else output / profile.runtime.name
        for name in WRITTEN:
            chosen = report(name)
            written[folder / chosen.file_name] = chosen.render([profile])
    page = report("html")
    written[output / page.file_name] = page.render(profiles)
    for path, text in written.items():
        write_file(path, text)
    click.echo(f"report: {output / page.file_name}")


def write_file(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all. Raises :class:`Forbidden` when it cannot be written."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f".{path.name}.partial")
        partial.write_text(text, encoding="utf-8")
        partial.replace(path)
    except OSError as error:
        raise Forbidden(f"{path} cannot be written: {error.strerror}", hint="name another place with -o") from error


def all_met(profiles: Sequence[Profile]) -> bool:
    """Whether every requirement of every profile is met."""
    return all(
        requirements.decide(requirements.parse(text), profile).outcome is requirements.Outcome.MET
        for profile in profiles
        for text in profile.request.requirements
    )
