"""Profiles of this machine, which show themselves in a notebook."""

from __future__ import annotations

from functools import wraps
from typing import Any

from dynolab.client.profile_view import ProfileView, as_view
from dynolab.jobs import profile as job


@wraps(job.profile)
def profile(*arguments: Any, **named: Any) -> ProfileView:
    """As :func:`dynolab.jobs.profile.profile`."""
    return as_view(job.profile(*arguments, **named))
