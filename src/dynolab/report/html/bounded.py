"""A profile as far as one page shows it: an agent may have sent what it likes, and a page is read by somebody who waits."""

from __future__ import annotations

import sys
from dataclasses import fields, is_dataclass, replace
from typing import Any

from dynolab.spec.profiles import Profile

ENTRIES_MOST = 300
"""Of each list and each table of names and values: the runs of a stage, settings, files, inputs. Ours have some dozens."""
RUNS_MOST = 40
"""Each is a column in the table of readings."""
WINDOWS_MOST = 1200
"""Of a sustained run: twice as many as ours have."""
REQUIREMENTS_MOST = 50
"""As many as a job takes."""
CHARACTERS_MOST = 4000
TIMES_MOST = 100_000
"""Of one run: as many iterations as anybody has asked for."""
_MOST = {
    "timing_runs": RUNS_MOST,
    "runs": RUNS_MOST,
    "values_ns": TIMES_MOST,
    "warmup_ns": TIMES_MOST,
    "requirements": REQUIREMENTS_MOST,
    "windows": WINDOWS_MOST,
    "layers": sys.maxsize,
}


def bounded(profile: Profile) -> tuple[Profile, bool]:
    """The profile with its lists and texts cut short, and whether anything was. All layers are there: they come in parts."""
    found: Profile = _cut(profile)
    return found, found != profile


def _cut(value: Any, most: int = ENTRIES_MOST) -> Any:
    if isinstance(value, str):
        return value if len(value) <= CHARACTERS_MOST else value[: CHARACTERS_MOST - 1] + "…"
    if isinstance(value, dict):
        return {_cut(key): _cut(item) for key, item in list(value.items())[:most]}
    if isinstance(value, tuple):
        return value[:most] if most > ENTRIES_MOST else tuple(map(_cut, value[:most]))
    if is_dataclass(value) and not isinstance(value, type):
        kept = {one.name: getattr(value, one.name) for one in fields(value)}
        return replace(value, **{name: _cut(one, _MOST.get(name, ENTRIES_MOST)) for name, one in kept.items()})
    return value
