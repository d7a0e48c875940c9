"""Where dynolab keeps what it has to know the next time, for this account of this machine."""

from __future__ import annotations

import os
from pathlib import Path


def folder() -> Path:
    """``DYNOLAB_STATE``, or the user's state folder (XDG Base Directory Specification)."""
    named = os.environ.get("DYNOLAB_STATE")
    if named:
        return Path(named)
    import platformdirs

    return platformdirs.user_state_path("dynolab")
