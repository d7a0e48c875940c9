"""Settings of the agent that are times."""

from __future__ import annotations

import os
from math import isfinite

from dynolab import errors


def seconds(name: str, usual: float) -> float:
    """The variable's seconds, 0 and more. Raises :class:`~dynolab.errors.SpecInvalid`."""
    text = os.environ.get(name) or str(usual)
    try:
        found = float(text)
    except ValueError:
        found = -1.0
    if not isfinite(found) or found < 0:
        raise errors.SpecInvalid(f"{name}={text!r} is no number of seconds", hint=f"such as {usual:g}")
    return found
