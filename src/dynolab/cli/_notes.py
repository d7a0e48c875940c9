"""What is done now, in a line: a live one on a terminal, plain ones elsewhere; always on standard error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import click


@contextmanager
def follow(title: str) -> Iterator[Callable[[str], None]]:
    """A receiver of lines for as long as the work goes on; ``title`` stands on a terminal until the first."""
    from rich.console import Console
    from rich.markup import escape

    from dynolab.report.base import line

    console = Console(stderr=True)
    with console.status(escape(title)) as status:
        if console.is_terminal:
            yield lambda text: status.update(escape(line(text)))
        else:
            yield lambda text: click.echo(line(text), err=True)
