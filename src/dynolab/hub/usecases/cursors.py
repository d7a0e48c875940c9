"""Cursors of pages, as text: rows that come in meanwhile shift nothing."""

from __future__ import annotations

import json
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from dynolab.errors import SpecInvalid
from dynolab.hub.usecases.base import Cursor


def decode_cursor(text: str | None, *, newer: bool = False) -> Cursor | None:
    """The cursor of a page's last row, or with ``newer`` of its first; None where none was given.

    Raises :class:`SpecInvalid` for what no page has given.
    """
    if text is None:
        return None
    wrong = SpecInvalid(
        f"{'after' if newer else 'before'}={text[:100]!r} is no place in a list",
        hint="take it from a page of the list, or begin with the first",
    )
    try:
        instant, row_id = urlsafe_b64decode(text.encode("ascii")).decode("ascii").split()
        at = datetime.fromisoformat(instant).astimezone(UTC)
    except (ValueError, OverflowError) as error:
        raise wrong from error
    if "\x00" in row_id:
        raise wrong
    return Cursor(at, row_id, newer)


def encode_cursor(row: Any) -> str:
    """The row's cursor as text."""
    return urlsafe_b64encode(f"{row.created_at.isoformat()} {row.id}".encode()).decode("ascii")


def cut_page(rows: Sequence[Any], most: int) -> tuple[Sequence[Any], str | None]:
    """The page of ``most`` rows, of which one more was asked for, and the cursor of the page after it."""
    return (rows, None) if len(rows) <= most else (rows[:most], encode_cursor(rows[most - 1]))


def encode_pair(name: str, row_id: str) -> str:
    """The place of a row in a list by name and id, as text."""
    return urlsafe_b64encode(json.dumps([name, row_id]).encode()).decode("ascii")


def decode_pair(text: str | None) -> tuple[str, str]:
    """The name and id that a page ended with; empty ones where none was given. Raises :class:`SpecInvalid` for what no page has given."""
    if text is None:
        return "", ""
    wrong = SpecInvalid(
        f"before={text[:100]!r} is no place in a list", hint="take it from a page of the list, or begin with the first"
    )
    try:
        found = json.loads(urlsafe_b64decode(text.encode("ascii")))
    except (ValueError, RecursionError) as error:
        raise wrong from error
    if (
        not isinstance(found, list)
        or len(found) != 2
        or not all(isinstance(one, str) and "\x00" not in one for one in found)
    ):
        raise wrong
    return found[0], found[1]
