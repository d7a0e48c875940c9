"""What this machine remembers of a device between jobs: the smallest values of its reference readings and of its models."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import platformdirs

from dynolab import private_files
from dynolab.measure.orders import Before, Measured
from dynolab.measure.readings import reference_kernel
from dynolab.spec import codec
from dynolab.spec.devices import DeviceFacts
from dynolab.spec.options import Options


def folder() -> Path:
    """``DYNOLAB_STATE`` or the user's state folder."""
    named = os.environ.get("DYNOLAB_STATE")
    return Path(named) if named else platformdirs.user_state_path("dynolab")


def _path(device: str) -> Path:
    return folder() / "devices" / f"{device}.json"


def key(device: DeviceFacts) -> str:
    """A name for the device's record, made of what does not change from boot to boot, and of what its readings time."""
    facts = (device.name, device.processor, device.cores, device.memory_bytes, device.architecture)
    text = "|".join(map(str, (*facts, reference_kernel.identity())))
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def best(device: str) -> dict[str, float]:
    """The smallest values seen on a device, by name; empty when nothing (or nothing readable) is on record."""
    return {name: before.value for name, before in _known(device).items()}


def before(device: str, name: str) -> Before | None:
    """The smallest value of one name, and when it was seen; None when it is not on record."""
    return _known(device).get(name)


def _known(device: str) -> dict[str, Before]:
    try:
        document = json.loads(_path(device).read_text(encoding="utf-8"))
        days = document.get("seen_on", {})
        return {str(name): Before(float(value), days.get(name)) for name, value in document["best"].items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError):
        return {}


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
    """Keep the smaller of each value, with today's date; a record that cannot be written is left as it is."""
    known, today = _known(device), datetime.now(UTC).date().isoformat()
    known |= {name: Before(value, today) for name, value in seen.items() if not _reached(known.get(name), value)}
    values = {name: one.value for name, one in known.items()}
    days = {name: one.seen_on for name, one in known.items() if one.seen_on is not None}
    path = _path(device)
    with suppress(OSError):
        private_files.write(path, json.dumps({"best": values, "seen_on": days}, indent=1))


def _reached(known: Before | None, value: float) -> bool:
    return known is not None and known.value <= value
