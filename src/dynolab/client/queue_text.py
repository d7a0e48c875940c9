"""A job's place in the queue, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

WHY_NOT = {
    "no-board": "no such device is there now",
    "unwell": "none of its boards takes jobs",
    "no-history": "nothing has run on the device yet",
    "overrun": "what runs there now takes far longer than the last jobs did",
}
"""Why nobody can tell when it begins."""


def queue_text(document: Mapping[str, Any]) -> str | None:
    """Such as ``3rd in the queue, begins in about 2 min``. None for a job that does not wait, or of which that was not told."""
    if document["state"] != "queued":
        return None
    position = document.get("queue_position")
    if not position:
        needed = document.get("waits_for")
        return f"waits for {' and '.join(needed)}" if needed else None
    place = "next in the queue" if position == 1 else f"{ordinal(position)} in the queue"
    seconds = document.get("estimated_start_s")
    when = WHY_NOT.get(document.get("no_estimate") or "") if seconds is None else f"begins {_in_about(seconds)}"
    unwell = document.get("unwell")
    when = f"{when}: {'; '.join(unwell)}" if unwell else when
    return f"{place}, {when}" if when else place


def ordinal(number: int) -> str:
    """Such as ``3rd``."""
    ending = "th" if 11 <= number % 100 <= 13 else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number:,}{ending}"


def _in_about(seconds: int) -> str:
    """In as coarse a unit as the hub told it."""
    if seconds < 10:
        return "in a few seconds"
    if seconds < 100:
        return f"in about {seconds} s"
    if seconds < 3600:
        return f"in about {round(seconds / 60)} min"
    return f"in about {seconds // 3600} h {seconds % 3600 // 60} min"
