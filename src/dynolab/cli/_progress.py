"""How a running measurement is told: a live line on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from dynolab.spec.jobs import ProfileSpec
from dynolab.spec.show import show_time

Event = Mapping[str, Any]
_TITLES = {
    "inspect": "inspect",
    "compile": "compile",
    "first_load": "first load",
    "warm_load": "warm load",
    "inference": "inference",
    "layers": "layers",
    "total": "whole process",
    "floor": "harness floor",
}


def describe(event: Event) -> str:
    """An event in a few words."""
    if event["event"] == "iteration":
        return f"iteration {event['count']} of {event['of']}, minimum {show_time(event['minimum_ns'])}"
    if event["event"] == "note":
        return str(event["text"])
    title, again = _TITLES.get(event["stage"], event["stage"]), event.get("attempt", 1)
    number = f" {event['process']}" if "process" in event else ""
    return f"{title}: {event['text']}{number}" + (f" (try {again}: the last was noisy)" if again > 1 else "")


@contextmanager
def follow(spec: ProfileSpec) -> Iterator[Callable[[Event], None]]:
    """A receiver of progress events for as long as the measurement runs."""
    title = f"{spec.model.name} on {spec.runtime}"
    if sys.stderr.isatty():
        columns = (
            SpinnerColumn(),
            TextColumn("[bold]{task.description}"),
            BarColumn(20),
            TextColumn("{task.fields[now]}"),
        )
        console = Console(stderr=True)
        with Progress(*columns, TimeElapsedColumn(), console=console, transient=True, refresh_per_second=4) as bar:
            yield _live(bar, bar.add_task(title, total=None, now="starting"))
    else:
        click.echo(f"profiling {title}", err=True)
        yield _plain()


def _live(bar: Progress, task: Any) -> Callable[[Event], None]:
    def receive(event: Event) -> None:
        if event["event"] == "note":
            bar.console.print(f"note: {event['text']}", markup=False, highlight=False)
            return
        if event["event"] == "iteration":
            bar.update(task, total=event["of"], completed=event["count"], now=describe(event))
        else:
            bar.update(task, total=None, completed=0, now=describe(event))

    return receive


PLAIN_EVERY_S = 10.0
"""How often a long loop is told of where there is no terminal."""


def _plain() -> Callable[[Event], None]:
    last = time.monotonic()

    def receive(event: Event) -> None:
        nonlocal last
        if event["event"] == "iteration" and time.monotonic() - last < PLAIN_EVERY_S:
            return
        last = time.monotonic()
        prefix = "note: " if event["event"] == "note" else ""
        click.echo(f"  {prefix}{describe(event)}", err=True)

    return receive
