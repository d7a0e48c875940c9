"""What this machine remembers of a device between jobs: the smallest values of its reference readings and of its models."""

from __future__ import annotations

import hashlib
import json
import os
from contextlib import suppress
from pathlib import Path

import platformdirs

from dynolab.measure.orders import Measured
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
    try:
        document = json.loads(_path(device).read_text(encoding="utf-8"))
        return {str(name): float(value) for name, value in document["best"].items()}
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
    """Keep the smaller of each value; a record that cannot be written is left as it is."""
    known = best(device)
    merged = {name: min(value, known.get(name, value)) for name, value in {**known, **seen}.items()}
    path = _path(device)
    with suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(f".{os.getpid()}.partial")
        partial.write_text(json.dumps({"best": merged}, indent=1), encoding="utf-8")
        partial.replace(path)
