"""Waiting for what happens in another process or thread."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


def until(found: Callable[[], T | None], what: str, within_s: float = 60.0, every_s: float = 0.05) -> T:
    """The first result that is true, asked for every ``every_s`` seconds. Raises AssertionError that names ``what`` when there is none in time."""
    end = time.monotonic() + within_s
    while not (result := found()):
        if time.monotonic() > end:
            raise AssertionError(f"waited {within_s:g} s for {what}; the last answer: {result!r}")
        time.sleep(every_s)
    return result
