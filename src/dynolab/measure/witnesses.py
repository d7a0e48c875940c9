"""Witnesses: all readings just before and just after a pass, and what changed between them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from dynolab import plugins
from dynolab.errors import Bug
from dynolab.measure.readings.base import Reading, Unavailable
from dynolab.spec.measurements import Witnesses

PACKAGE = "dynolab.measure.readings"


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The readings named, at one instant: values by ``reading.field``, and the reason for each reading that is missing.

    ``at_ns`` is the monotonic clock on the side of the pass: after an opening snapshot, before a closing one.
    """

    names: tuple[str, ...]
    at_ns: int
    values: dict[str, float]
    unavailable: dict[str, str]


def snapshot(names: tuple[str, ...], *, closing: bool = False, root: Path = Path("/")) -> Snapshot:
    """Every reading named now; :func:`all_names` tells which there are.

    An opening snapshot (``closing=False``) reads the exact counters last, a closing one reads them first, so that they
    span the pass and little else. Readings that keep a clock of their own stand on the outside: their window is wider.
    Nothing here fails for what the system does not offer.
    """
    values: dict[str, float] = {}
    unavailable: dict[str, str] = {}
    readings = _readings(names)[::-1] if closing else _readings(names)
    at_ns = time.monotonic_ns()
    for reading in readings:
        try:
            values.update({f"{reading.name}.{field}": value for field, value in reading.read(root).items()})
        except Unavailable as error:
            unavailable[reading.name] = str(error)
        except (OSError, ValueError, LookupError) as error:
            unavailable[reading.name] = f"not understood: {type(error).__name__}: {error}"
    return Snapshot(names, at_ns if closing else time.monotonic_ns(), values, unavailable)


def between(before: Snapshot, after: Snapshot) -> Witnesses:
    """How much each counter grew from one snapshot to the other, gauges on both sides, and what is not to be had.

    A counter that fell (a thread exited and took its share along) grew by 0.
    """
    counters = {key for reading in _readings(before.names) for key in _keys(reading, "counter")}
    gauges = {key for reading in _readings(before.names) for key in _keys(reading, "gauge")}
    unknown = (before.values.keys() | after.values.keys()) - counters - gauges
    if unknown:
        raise Bug(f"readings gave values that their fields do not name: {', '.join(sorted(unknown))}")
    shared = before.values.keys() & after.values.keys()
    return Witnesses(
        wall_ns=after.at_ns - before.at_ns,
        grown={key: max(0.0, after.values[key] - before.values[key]) for key in sorted(shared & counters)},
        before={key: value for key, value in sorted(before.values.items()) if key in gauges},
        after={key: value for key, value in sorted(after.values.items()) if key in gauges},
        unavailable={**before.unavailable, **after.unavailable},
    )


def _keys(reading: Reading, kind: str) -> list[str]:
    return [f"{reading.name}.{name}" for name, field in reading.fields.items() if field.kind == kind]


def all_names() -> tuple[str, ...]:
    """The readings that workers ask, ours and others'. Looking for others' takes tens of milliseconds: ask once."""
    return tuple(name for name in plugins.names(PACKAGE) if not getattr(plugins.load(PACKAGE, name), "apart", False))


@lru_cache(maxsize=1)
def _readings(names: tuple[str, ...]) -> tuple[Reading, ...]:
    """The readings in opening order, imported once."""
    found = []
    for name in sorted(names, reverse=True):  # reversed: the reference kernel wakes the CPU before its clock is read
        reading = plugins.load(PACKAGE, name)
        if not isinstance(reading, Reading):
            raise Bug(f"{PACKAGE}.{name} holds no Reading, but {type(reading).__name__}")
        found.append(reading)
    return tuple(sorted(found, key=_rank))


def _rank(reading: Reading) -> int:
    """0: has a clock of its own, so it may stand outside; 1: gauges; 2: counters, next to the pass."""
    if "at_ns" in reading.fields:
        return 0
    return 2 if any(field.kind == "counter" for field in reading.fields.values()) else 1
