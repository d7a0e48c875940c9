"""Whether a runtime's library really loads here: tried once, in a process of its own, since some end the process that tries."""

from __future__ import annotations

import hashlib
import json
import os
import platform
import signal
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from dynolab import private_files

_TIMEOUT_S = 300.0
"""PyTorch took 25 s on an emulated board; what takes so much longer hangs."""
_TOLD_MOST = 300
"""Characters of what a library said."""
_CODE = "import sys; from dynolab import plugins; plugins.load('dynolab.runtimes', sys.argv[1]).import_library()"


def why_not(name: str, versions: Mapping[str, str]) -> str | None:
    """Why the library of an installed runtime does not load, in words; None: it does.

    That it does is remembered for these versions and this Python; that it does not is tried again each time.
    """
    path, key = _remembered(), _key(name, versions)
    known = _known(path) if path is not None else set()
    if key in known:
        return None
    reason = _tried(name)
    if reason is None and path is not None:
        with suppress(OSError):
            private_files.write(path, json.dumps(sorted({*known, key})))
    return reason


def _tried(name: str) -> str | None:
    command = [sys.executable, "-P", "-c", _CODE, name]
    nowhere = subprocess.DEVNULL
    try:
        done = subprocess.run(
            command, stdin=nowhere, stdout=nowhere, stderr=subprocess.PIPE, timeout=_TIMEOUT_S, check=False
        )
    except subprocess.TimeoutExpired:
        return f"it is installed, and had not loaded after {_TIMEOUT_S:.0f} s"
    if done.returncode == 0:
        return None
    if done.returncode < 0:
        return f"it is installed, and loading it ends the process ({_signal(-done.returncode)})"
    said = done.stderr.decode("utf-8", "replace").strip().splitlines()
    last = said[-1].strip()[:_TOLD_MOST] if said else f"exit code {done.returncode}"
    return f"it is installed, and does not load: {last}"


def _signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _remembered() -> Path | None:
    """In ``DYNOLAB_STATE``, or the user's cache folder (XDG Base Directory Specification); None: there is no home.

    No library is asked for the place: this runs on devices that have nothing but what measures.
    """
    for name, below in (("DYNOLAB_STATE", ""), ("XDG_CACHE_HOME", "dynolab"), ("HOME", ".cache/dynolab")):
        named = Path(os.environ.get(name, ""))
        if named.is_absolute():
            return named / below / "loaded-runtimes.json"
    return None


def _known(path: Path) -> set[str]:
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return set()
    return {one for one in found if isinstance(one, str)} if isinstance(found, list) else set()


def _key(name: str, versions: Mapping[str, str]) -> str:
    conditions = (name, sorted(versions.items()), sys.executable, sys.version, platform.release())
    return f"{name}:{hashlib.sha256(repr(conditions).encode()).hexdigest()[:24]}"
