"""What tells this device from others of its kind, from boot to boot."""

from __future__ import annotations

import hashlib
import platform
from contextlib import suppress
from pathlib import Path

SOURCES = (
    "proc/device-tree/serial-number",
    "etc/machine-id",
    "var/lib/dbus/machine-id",
)
"""The board's serial number (device tree), which copies of one memory card do not share; the system's own id (machine-id(5))."""


def identity(root: Path = Path("/")) -> str:
    """16 digits and letters. machine-id(5) asks that the id itself be told to nobody, so that it is hashed."""
    for source in SOURCES:
        with suppress(OSError):
            told = (root / source).read_text(encoding="utf-8", errors="replace").strip("\0 \n")
            if told and told != "uninitialized":
                return _hashed(f"{source}:{told}")
    return _hashed(f"host:{platform.node()}")


def _hashed(text: str) -> str:
    return hashlib.sha256(f"dynolab:{text}".encode()).hexdigest()[:16]
