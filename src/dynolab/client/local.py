"""What is measured on this machine: profiles, which show themselves in a notebook, and duets."""

from __future__ import annotations

from functools import wraps
from typing import Any

from dynolab.client.profile_view import ProfileView, as_view
from dynolab.jobs import compare as compare_job
from dynolab.jobs import profile as job
from dynolab.spec.duets import Duet


@wraps(job.profile)
def profile(*arguments: Any, **named: Any) -> ProfileView:
    """As :func:`dynolab.jobs.profile.profile`."""
    return as_view(job.profile(*arguments, **named))


@wraps(compare_job.compare)
def compare(*arguments: Any, **named: Any) -> Duet:
    """As :func:`dynolab.jobs.compare.compare`."""
    return compare_job.compare(*arguments, **named)
