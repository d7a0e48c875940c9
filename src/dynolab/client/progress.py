"""How transfers and waiting are shown: bars on a terminal and in a notebook, nothing elsewhere; never on standard output."""

from __future__ import annotations

import sys
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from html import escape
from typing import Any

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    SpinnerColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column

from dynolab.client.queue_text import queue_text
from dynolab.report.base import crop, line
from dynolab.spec.progress import brief
from dynolab.spec.show import show_bytes, show_time

Counted = Callable[[int, int], None]
"""Told how many bytes of how many have gone or come."""
Told = Callable[["Moment"], None]
NOW_WIDTH = 40
"""What the longest of the brief descriptions takes, and a place in the queue."""


@dataclass(frozen=True, slots=True)
class Moment:
    """What a job is at, in words; ``done`` of ``total`` iterations while a loop runs."""

    text: str
    done: int = 0
    total: int | None = None


def of_job(document: Mapping[str, Any]) -> Moment:
    """The moment of a job's document, or of an event that tells its state."""
    return Moment(queue_text(document) or str(document["state"]))


def of_event(event: Mapping[str, Any]) -> Moment:
    """The moment of a measurement's event."""
    if event.get("event") == "iteration":
        return Moment(brief(event), event["count"], event["of"])
    return Moment(brief(event))


class Display(ABC):
    """Where progress is shown."""

    @abstractmethod
    def transfer(self, title: str) -> AbstractContextManager[Counted]:
        """A bar for a file on its way."""

    @abstractmethod
    def waiting(self, title: str) -> AbstractContextManager[Told]:
        """A line for a job that is waited for."""


class Silent(Display):
    """Shows nothing."""

    @contextmanager
    def transfer(self, title: str) -> Iterator[Counted]:
        yield lambda done, size: None

    @contextmanager
    def waiting(self, title: str) -> Iterator[Told]:
        yield lambda moment: None


class Terminal(Display):
    """One line that is drawn again and again, and is gone in the end."""

    def __init__(self, console: Console | None = None) -> None:
        self._console = console or Console(stderr=True)

    @contextmanager
    def transfer(self, title: str) -> Iterator[Counted]:
        columns = (
            TextColumn("{task.description}", markup=False),
            BarColumn(20 if self._console.width >= 110 else 10),
            DownloadColumn(),
            TransferSpeedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=self._console, transient=True) as bar:
            task = bar.add_task(crop(title, max(12, self._console.width - 60)), total=None)
            yield lambda done, size: bar.update(task, completed=done, total=size)

    @contextmanager
    def waiting(self, title: str) -> Iterator[Told]:
        with live_line(title, self._console) as bar:
            task = bar.task_ids[0]
            yield lambda moment: bar.update(task, now=moment.text, completed=moment.done, total=moment.total)


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


class Notebook(Display):
    """An output of the cell that is drawn anew: plain HTML, which needs no extension of the notebook."""

    EVERY_S = 0.25
    """How often it is drawn at most."""

    @contextmanager
    def transfer(self, title: str) -> Iterator[Counted]:
        with self._drawn(title) as draw:
            yield lambda done, size: draw(Moment(f"{show_bytes(done)} of {show_bytes(size)}", done, size))

    @contextmanager
    def waiting(self, title: str) -> Iterator[Told]:
        with self._drawn(title) as draw:
            yield draw

    @contextmanager
    def _drawn(self, title: str) -> Iterator[Told]:
        show: Any = sys.modules["IPython.display"]
        handle = show.display(show.HTML(_bar(title, Moment("starting"))), display_id=True)
        began, last, drawn = time.monotonic(), Moment("starting"), 0.0

        def draw(moment: Moment) -> None:
            nonlocal last, drawn
            last = moment
            if time.monotonic() - drawn >= self.EVERY_S:
                drawn = time.monotonic()
                handle.update(show.HTML(_bar(title, moment)))

        try:
            yield draw
        finally:
            took = Moment(f"{last.text} ({show_time((time.monotonic() - began) * 1e9)})", last.done, last.total)
            handle.update(show.HTML(_bar(title, took)))


def _bar(title: str, moment: Moment) -> str:
    shown = f'<progress value="{moment.done}" max="{moment.total}"></progress> ' if moment.total else ""
    return f"<div><b>{escape(line(title))}</b> {shown}{escape(line(moment.text))}</div>"


def chosen(verbose: bool) -> Display:
    """The display for where this runs: nothing where nobody asked for it, or nobody looks."""
    if not verbose:
        return Silent()
    if _in_notebook():
        return Notebook()
    return Terminal() if sys.stderr.isatty() else Silent()


def _in_notebook() -> bool:
    """Whether a kernel runs this, and not IPython's shell on a terminal."""
    shell: Any = sys.modules["IPython"].get_ipython() if "IPython" in sys.modules else None
    return getattr(shell, "kernel", None) is not None
