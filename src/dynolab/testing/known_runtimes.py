"""Which runtimes load on this machine, found out once for many tests: agents with a state of their own begin with it."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

from dynolab import private_files
from dynolab.testing.once import once

PLACE = "TEST_KNOWN_RUNTIMES"
"""Names the folder in which it is kept; not set: every agent with a new state tries each library itself."""
KEPT = "loaded-runtimes.json"
_TRY = "from dynolab.runtimes.base import loaded_runtimes; loaded_runtimes()"


def give(state: Path) -> Path:
    """The folder, made if need be: an agent's or a command's ``DYNOLAB_STATE`` that knows which runtimes load here."""
    private_files.make_folder(state)
    place = os.environ.get(PLACE)
    if place and not (state / KEPT).exists():
        shutil.copy(_found(Path(place)), state / KEPT)
    return state


def _found(place: Path) -> Path:
    """What is known, found out by whoever of several processes needs it first."""
    command = [sys.executable, "-P", "-c", _TRY]
    once(place, lambda: subprocess.run(command, env={**os.environ, "DYNOLAB_STATE": str(place)}, check=True))
    return place / KEPT
