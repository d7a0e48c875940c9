"""Profiles of this machine, which show themselves in a notebook."""

from __future__ import annotations

from functools import wraps
from typing import Any

from dynolab.client.shown import ShownProfile, shown
from dynolab.jobs import profile as job


@wraps(job.profile)
def profile(*arguments: Any, **named: Any) -> ShownProfile:
    """As :func:`dynolab.jobs.profile.profile`."""
    return shown(job.profile(*arguments, **named))
