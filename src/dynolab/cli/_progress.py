"""How a running measurement is told: a live line on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click
from rich.console import Console
from rich.progress import Progress, TaskID

from dynolab.client.progress import Counted, Display, Moment, Told, live_line
from dynolab.jobs._planned import counted
from dynolab.report.base import line
from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.progress import Event, brief, describe


@contextmanager
def follow(spec: ProfileSpec, *, several: bool = False) -> Iterator[Callable[[Event], None]]:
    """A receiver of progress events for as long as the measurement runs; of ``several`` runtimes, notes name theirs."""
    note = f"note on {spec.runtime}: " if several else "note: "
    if sys.stderr.isatty():
        console = Console(stderr=True)
        with live_line(str(spec.runtime) if several else spec.model.name, console) as bar:
            yield counted(_live(bar, bar.task_ids[0], note), spec)
    else:
        click.echo(f"profiling {line(spec.model.name)} on {spec.runtime}", err=True)
        yield counted(_plain(note), spec)


def _live(bar: Progress, task: TaskID, note: str) -> Callable[[Event], None]:
    def receive(event: Event) -> None:
        if event["event"] == "note":
            bar.console.print(f"{note}{line(event['text'])}", markup=False, highlight=False)
        elif event["event"] == "iteration":
            bar.update(task, total=event["of"], completed=event["count"], now=brief(event))
        else:
            bar.update(task, total=None, completed=0, now=brief(event))

    return receive


class Lines(Display):
    """What a hub's client is at, where there is no terminal: a line for each thing that is new, long loops now and then."""

    @contextmanager
    def transfer(self, title: str) -> Iterator[Counted]:
        click.echo(line(title), err=True)
        yield lambda done, size: None

    @contextmanager
    def waiting(self, title: str) -> Iterator[Told]:
        last, since = "", time.monotonic()

        def told(moment: Moment) -> None:
            nonlocal last, since
            if moment.text == last or (moment.total and time.monotonic() - since < PLAIN_EVERY_S):
                return
            last, since = moment.text, time.monotonic()
            click.echo(f"  {line(moment.text)}", err=True)

        yield told


PLAIN_EVERY_S = 10.0
"""How often a long loop is told of where there is no terminal."""


def _plain(note: str) -> Callable[[Event], None]:
    last = time.monotonic()

    def receive(event: Event) -> None:
        nonlocal last
        if event["event"] == "iteration" and time.monotonic() - last < PLAIN_EVERY_S:
            return
        last = time.monotonic()
        prefix = note if event["event"] == "note" else ""
        click.echo(f"  {prefix}{line(describe(event))}", err=True)

    return receive
