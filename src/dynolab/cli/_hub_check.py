"""``dynolab hub check``: what is wrong with a hub."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from dynolab.cli._hub import AS_JSON, answer
from dynolab.cli._hub_settings import configuration

if TYPE_CHECKING:
    from dynolab.hub.checks.base import Checked, Finding, Problem

EXAMPLES = 5
"""Problems of one check that are printed; ``--json`` has up to a hundred."""


@click.command("check")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), help="The hub's data folder.")
@click.option("--digests", is_flag=True, help="Read all bytes too, and compare them with their digests.")
@AS_JSON
@click.pass_obj
def check_command(before: Path | None, data: Path | None, digests: bool, as_json: bool) -> None:
    """Tell what is wrong with a hub, its database, its files or its deployment, while it runs or not.

    It changes nothing but for its row in the audit log.

    \b
    dynolab hub check
    """  # noqa: D301 - click wants the backspace character itself
    from dynolab.hub.checks.check import check

    with progress() as told:
        found = check(configuration(data or before).settings, told, digests=digests)
    answer(text(found), document(found), as_json)
    if found.of("wrong"):
        raise click.exceptions.Exit(1)


def text(found: Checked) -> str:
    """The answer first, then what is wrong, what to look at, and what could not be looked at."""
    wrong, warnings = found.of("wrong"), found.of("warning")
    held = sum(one.ok and not one.skipped for one in found.findings)
    looked_at = len(found.findings) - len(found.skipped)
    lines = [f"{_answer(held, looked_at, len(wrong))} ({_counts(found)}; {found.took_s:.1f} s)"]
    for title, findings in (("wrong", wrong), ("to look at", warnings)):
        for one in findings:
            lines += ["", *_told(title, one)]
    reasons: dict[str, list[str]] = {}
    for one in found.skipped:
        reasons.setdefault(one.skipped, []).append(one.name)
    for why, names in reasons.items():
        lines += ["", f"not looked at: {why}", f"  {', '.join(names)}"]
    if found.replicas:
        lines += ["", "hubs that are connected:"]
        lines += [f"  {one.name or 'unnamed'}, dynolab {one.version or '(it does not say)'}" for one in found.replicas]
    else:
        lines += ["", "no hub is connected to the database"]
    return "\n".join(lines)


def document(found: Checked) -> dict[str, Any]:
    """The same as JSON."""
    return {
        "holds": not found.of("wrong"),
        "at": found.at.isoformat(),
        "took_s": found.took_s,
        "counts": found.counts,
        "replicas": [{**asdict(one), "since": one.since.isoformat()} for one in found.replicas],
        "checks": [_document(one) for one in found.findings],
    }


def _document(one: Finding) -> dict[str, Any]:
    problems = [{**asdict(two), "since": two.since and two.since.isoformat()} for two in one.problems]
    state = "skipped" if one.skipped else "holds" if one.ok else one.grade
    told = {"name": one.name, "state": state, "holds": one.holds, "count": one.count, "problems": problems}
    return told | {"hint": "" if one.ok else one.hint, "skipped": one.skipped}


def _answer(held: int, looked_at: int, wrong: int) -> str:
    if held == looked_at:
        return f"{held} checks hold"
    failed = f"{wrong} {'is' if wrong == 1 else 'are'} wrong" if wrong else "nothing is wrong"
    more = looked_at - held - wrong
    return f"{failed}, {held} checks hold" + (f", {more} to look at" if more else "")


def _counts(found: Checked) -> str:
    named = ((count, *what.partition(" ")) for what, count in found.counts.items())  # what is counted is the first word
    return ", ".join(f"{count:,} {what}{'' if count == 1 else 's'}{gap}{rest}" for count, what, gap, rest in named)


def _told(title: str, one: Finding) -> Iterator[str]:
    yield f"{title}: {one.name}: not so: {one.holds}"
    for problem in one.problems[:EXAMPLES]:
        yield f"  {problem.what}: {problem.why}{_since(problem)}"
    if one.count > EXAMPLES:
        yield f"  and {one.count - EXAMPLES:,} more"
    yield f"  what to do: {one.hint}"


def _since(problem: Problem) -> str:
    return f", since {problem.since.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC" if problem.since else ""


@contextmanager
def progress() -> Iterator[Callable[[str, int, int], None]]:
    """On a terminal what is looked at; elsewhere nothing, but a line every ten seconds of long work."""
    from rich.console import Console

    if sys.stderr.isatty():
        with Console(stderr=True).status("looking") as status:
            yield lambda what, done, total: status.update(_at(what, done, total))
        return
    last = datetime.now(UTC)

    def tell(what: str, done: int, total: int) -> None:
        nonlocal last
        if (datetime.now(UTC) - last).total_seconds() >= 10:
            last = datetime.now(UTC)
            click.echo(_at(what, done, total), err=True)

    yield tell


def _at(what: str, done: int, total: int) -> str:
    return f"{what}: {done:,} of {total:,}" if total else f"{what}: {done:,}"
