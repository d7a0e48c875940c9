"""How a running measurement is told: a live line on a terminal, plain lines elsewhere; always on standard error."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any

import click
from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Column

from dynolab.measure import plan
from dynolab.report.base import crop, line
from dynolab.spec import options
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


def describe(event: Event, planned: Mapping[tuple[str, str], int] = MappingProxyType({})) -> str:
    """An event in a few words; ``planned`` tells how many processes a stage's pass gets, where that is known."""
    if event["event"] == "iteration":
        return f"iteration {event['count']:,} of {event['of']:,}, minimum {show_time(event['minimum_ns'])}"
    if event["event"] == "note":
        return str(event["text"])
    title, again = _TITLES.get(event["stage"], event["stage"]), event.get("attempt", 1)
    of = planned.get((event["stage"], event["text"]))
    number = f", process {event['process']}" + (f" of {of}" if of else "") if "process" in event else ""
    return f"{title}: {event['text']}{number}" + (f" (try {again}: the last was noisy)" if again > 1 else "")


def brief(event: Event, planned: Mapping[tuple[str, str], int]) -> str:
    """The same for a line that the bar stands in: shorter."""
    if event["event"] == "iteration":
        return describe(event).removeprefix("iteration ")
    if event["stage"] == "inspect":
        return "inspect: looking for inputs"
    text = describe({**event, "attempt": 1}, planned).replace(": time, ", ": ").replace(": memory, ", " memory: ")
    return text + (f", try {event['attempt']}" if event.get("attempt", 1) > 1 else "")


def processes(spec: ProfileSpec) -> dict[tuple[str, str], int]:
    """Processes by stage and pass. A compilation that takes long is timed once: only its outcome tells."""
    loop = len(plan.timing_processes(options.parse(spec.options), spec.repeats))
    timed = {("first_load", "time"): spec.repeats, ("inference", "time"): loop}
    return {
        **timed,
        ("compile", "memory"): 1,
        **{(name, "memory"): spec.repeats for name in ("first_load", "inference")},
    }


@contextmanager
def follow(spec: ProfileSpec, *, several: bool = False) -> Iterator[Callable[[Event], None]]:
    """A receiver of progress events for as long as the measurement runs; of ``several`` runtimes, notes name theirs."""
    note = f"note on {spec.runtime}: " if several else "note: "
    if sys.stderr.isatty():
        console = Console(stderr=True)
        with live_line(str(spec.runtime) if several else spec.model.name, console) as bar:
            yield _live(bar, bar.task_ids[0], note, processes(spec))
    else:
        click.echo(f"profiling {line(spec.model.name)} on {spec.runtime}", err=True)
        yield _plain(note, processes(spec))


def live_line(title: str, console: Console) -> Progress:
    """The line that is drawn again and again, no wider than the console: its title gives way first."""
    bar_width, elapsed_width, gaps = (20 if console.width >= 110 else 10), 7, 5
    room = console.width - 1 - bar_width - elapsed_width - gaps  # 1: the spinner
    title = crop(title, max(8, room - NOW_WIDTH))
    now = Column(width=max(1, room - len(title)), no_wrap=True, overflow="ellipsis")
    bar = Progress(
        SpinnerColumn(),
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(bar_width),
        TextColumn("{task.fields[now]}", markup=False, table_column=now),
        TimeElapsedColumn(),
        console=console,
        transient=True,
        refresh_per_second=4,
    )
    bar.add_task(title, total=None, now="starting")
    return bar


NOW_WIDTH = 36
"""What the longest of the brief descriptions takes."""


def _live(bar: Progress, task: TaskID, note: str, planned: Mapping[tuple[str, str], int]) -> Callable[[Event], None]:
    def receive(event: Event) -> None:
        if event["event"] == "note":
            bar.console.print(f"{note}{line(event['text'])}", markup=False, highlight=False)
        elif event["event"] == "iteration":
            bar.update(task, total=event["of"], completed=event["count"], now=brief(event, planned))
        else:
            bar.update(task, total=None, completed=0, now=brief(event, planned))

    return receive


PLAIN_EVERY_S = 10.0
"""How often a long loop is told of where there is no terminal."""


def _plain(note: str, planned: Mapping[tuple[str, str], int]) -> Callable[[Event], None]:
    last = time.monotonic()

    def receive(event: Event) -> None:
        nonlocal last
        if event["event"] == "iteration" and time.monotonic() - last < PLAIN_EVERY_S:
            return
        last = time.monotonic()
        prefix = note if event["event"] == "note" else ""
        click.echo(f"  {prefix}{line(describe(event, planned))}", err=True)

    return receive
