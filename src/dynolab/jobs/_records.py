"""What this machine remembers of a device for 30 days: times of the reference kernel, and of models."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path

from dynolab import private_files, user_state
from dynolab.measure.campaign_messages import Before, Measured
from dynolab.measure.orders import Survey
from dynolab.measure.readings import reference_kernel
from dynolab.spec import codec
from dynolab.spec.options import Options

KEPT_DAYS, KEPT_VALUES = 30, 200
"""A device changes: firmware, cooling, who else is on the host."""
BEST_PERCENTILE = 0.05
"""Of the reference kernel's times: the record of all would be the luck of one moment."""
_REFERENCE = reference_kernel.plugin.name


def _path(device: str) -> Path:
    return user_state.folder() / "devices" / f"{device}.json"


def key(survey: Survey) -> str:
    """A name for the device's record, made of what does not change from boot to boot, and of what its readings time.

    Boards of one model have records of their own: no two of them are equally fast.
    """
    device = survey.device
    facts = (device.name, device.processor, device.cores, device.memory_bytes, device.architecture)
    text = "|".join(map(str, (*facts, survey.kernel_identity, survey.identity)))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def best(device: str) -> dict[str, float]:
    """What to hold the reference kernel's times against, by name: a low percentile of those on record."""
    return {
        name: sorted(entry.value for entry in entries)[int(BEST_PERCENTILE * len(entries))]
        for name, entries in _known(device).items()
        if name.startswith(_REFERENCE)
    }


def before(device: str, name: str) -> Before | None:
    """The time of a model that the device showed lately: the second smallest of several, since one may be luck."""
    entries = sorted(_known(device).get(name, ()), key=lambda entry: entry.value)
    return entries[min(1, len(entries) - 1)] if entries else None


def _known(device: str) -> dict[str, list[Before]]:
    """What is on record and not too old, by name; nothing where there is no record, or none that can be read."""
    first = (datetime.now(UTC).date() - timedelta(days=KEPT_DAYS)).isoformat()
    try:
        document = json.loads(_path(device).read_text(encoding="utf-8"))
        read = {
            str(name): [Before(float(value), str(day)) for day, value in entries]
            for name, entries in document["history"].items()
        }
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}
    kept = {name: [entry for entry in entries if entry.seen_on >= first] for name, entries in read.items()}
    return {name: entries for name, entries in kept.items() if entries}


def model_key(sha256: str, measured: Measured, options: Options) -> str:
    """A name for one model under the same conditions: runtime versions, inputs, options but the budget, kernel."""
    inputs = measured.inspection.inputs if measured.inspection else ()
    conditions = (
        sha256,
        sorted(measured.versions.items()),
        [codec.encode(item) for item in inputs],
        [str(unit) for unit in options.compute_units],
        sorted((group, sorted(values.items())) for group, values in options.groups.items()),
        sorted(options.plain.items()),
        measured.device.kernel,
    )
    return "inference_ns:" + hashlib.sha256(repr(conditions).encode()).hexdigest()[:24]


def remember(device: str, seen: dict[str, float]) -> None:
    """Add these values, with today's date; a record that cannot be written is left as it is."""
    known, today = _known(device), datetime.now(UTC).date().isoformat()
    for name, value in seen.items():
        known[name] = [*known.get(name, ()), Before(value, today)][-KEPT_VALUES:]
    history = {name: [[entry.seen_on, entry.value] for entry in entries] for name, entries in known.items()}
    with suppress(OSError):
        private_files.write(_path(device), json.dumps({"history": history}))
