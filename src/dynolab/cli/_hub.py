"""What the commands that talk to a hub share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from dynolab.client.client import Client

COLOURS = {
    "done": "green",
    "failed": "red",
    "cancelled": "yellow",
    "running": "cyan",
    "preparing": "cyan",
    "queued": "",
}
"""A job's state, at a glance."""


@contextmanager
def client() -> Iterator[Client]:
    """The client of the configured hub."""
    from dynolab.client.client import Client

    opened = Client()
    try:
        yield opened
    finally:
        opened.close()


def show(content: object) -> None:
    """Print a table, or a line."""
    from rich.console import Console

    Console().print(content)


def state(document: Mapping[str, Any]) -> str:
    """A job's state, coloured."""
    colour = COLOURS.get(document["state"], "")
    return f"[{colour}]{document['state']}[/{colour}]" if colour else str(document["state"])


def ago(text: str | None) -> str:
    """How long an instant is past, in the largest unit that fits."""
    if text is None:
        return ""
    seconds = (datetime.now(UTC) - datetime.fromisoformat(text)).total_seconds()
    for unit, size in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= size:
            return f"{seconds // size:.0f} {unit} ago"
    return f"{max(0.0, seconds):.0f} s ago"
