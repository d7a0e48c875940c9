"""What a command prints of profiles, and the files it writes."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import Console

from dynolab import plugins
from dynolab.errors import Bug, Forbidden
from dynolab.report.base import Report
from dynolab.report.text import TextReport
from dynolab.spec import requirements
from dynolab.spec.profiles import Profile
from dynolab.spec.requirements import Decision, Outcome

WRITTEN = ("json", "html", "csv", "sustained", "trace", "nodedata", "aihub")
"""Reports that ``-o`` writes."""
FOR_PEOPLE = ("text", "markdown")
"""Reports below which a line more does no harm."""


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
    """Print one report to standard output; the text report fits the terminal's width, in its colours."""
    chosen = report(form)
    if isinstance(chosen, TextReport) and sys.stdout.isatty():
        Console(highlight=False).print(chosen.renderable(profiles))
    else:
        click.echo(chosen.render(profiles).removesuffix("\n"))


def write(profiles: Sequence[Profile], output: Path, form: str) -> None:
    """Write the files: straight into the folder for one profile, in a folder for each runtime for several."""
    written = {}
    for profile in profiles:
        folder = output if len(profiles) == 1 else output / profile.runtime.name
        for name in WRITTEN:
            chosen = report(name)
            if chosen.fits(profile):
                written[folder / chosen.file_name] = chosen.render([profile])
    page = report("html")
    written[output / page.file_name] = page.render(profiles)
    for path, text in written.items():
        write_file(path, text)
    _tell(f"report: {output / page.file_name}", form)


def write_file(path: Path, text: str) -> None:
    """Write a file so that it is there whole or not at all. Raises :class:`Forbidden` when it cannot be written."""
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            partial.write_text(text, encoding="utf-8")
            partial.replace(path)
        finally:
            partial.unlink(missing_ok=True)  # what a full disk left of it
    except OSError as error:
        raise Forbidden(f"{path} cannot be written: {error.strerror}", hint="name another place with -o") from error


def decide(profiles: Sequence[Profile], form: str) -> bool:
    """Whether every requirement of every profile is met; says so in one line, the last one, where there are any."""
    decisions = [decision for profile in profiles for decision in requirements.decide_all(profile)]
    if decisions:
        _tell(decided(decisions), form)
    return all(decision.outcome is Outcome.MET for decision in decisions)


def decided(decisions: Sequence[Decision]) -> str:
    """How many requirements have which outcome, the worst first."""
    kinds = {
        "not met": [one for one in decisions if one.outcome is Outcome.NOT_MET],
        "cannot tell (running it again will not change that)": [
            one for one in decisions if one.outcome is Outcome.CANNOT_TELL and not one.again
        ],
        "cannot tell (a run on a calmer device may)": [one for one in decisions if one.again],
        "met": [one for one in decisions if one.outcome is Outcome.MET],
    }
    counts = [f"{len(found)} {words}" for words, found in kinds.items() if found]
    return f"requirements: {', '.join(counts)}"


def _tell(text: str, form: str) -> None:
    """One line below the report; beside what a program reads it goes to standard error."""
    click.echo(text, err=form not in FOR_PEOPLE)
