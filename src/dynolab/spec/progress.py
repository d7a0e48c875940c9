"""A running measurement's events in words: what the live line shows, here and for a job at a hub."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from dynolab.spec.show import show_time

Event = Mapping[str, Any]
TITLES = {
    "inspect": "inspect",
    "compile": "compile",
    "first_load": "first load",
    "warm_load": "warm load",
    "inference": "inference",
    "layers": "layers",
    "sustained": "sustained",
    "total": "whole process",
    "floor": "harness floor",
}
"""What a stage of the work is called."""


def describe(event: Event) -> str:
    """An event in a few words; ``of`` in it is how many processes a stage's pass gets, where that is known."""
    if event["event"] == "iteration":
        return f"{event.get('what', 'iteration')} {event['count']:,} of {event['of']:,}, minimum {show_time(event['minimum_ns'])}"
    if event["event"] == "note":
        return str(event["text"])
    if event["event"] == "duet":
        return f"{_pair(event)}, {event['elapsed_s']:.0f} of {event['budget_s']:.0f} s"
    title, again = TITLES.get(event["stage"], event["stage"]), event.get("attempt", 1)
    of = event.get("of")
    number = f", process {event['process']}" + (f" of {of}" if of else "") if "process" in event else ""
    return f"{title}: {event['text']}{number}" + (f" (try {again}: the last was noisy)" if again > 1 else "")


def brief(event: Event) -> str:
    """The same for a line that the bar stands in: shorter."""
    if event["event"] == "iteration":
        return describe(event).removeprefix("iteration ")
    if event["event"] == "note":
        return describe(event)
    if event["event"] == "duet":
        return _pair(event)
    if event["stage"] == "inspect":
        return "inspect: looking for inputs"
    text = describe({**event, "attempt": 1}).replace(": time, ", ": ").replace(": memory, ", " memory: ")
    return text + (f", try {event['attempt']}" if event.get("attempt", 1) > 1 else "")


def _pair(event: Event) -> str:
    """What a duet knows after a pair of processes: the interval of its ratio, which narrows from pair to pair."""
    if event["ratio"] is None:
        return f"pair {event['pair']} of {event['least']} or more"
    value, lower, upper = (f"{100 * (one - 1):+.1f}" for one in event["ratio"])
    return f"pair {event['pair']}: {value} % ({lower} to {upper} %)"
