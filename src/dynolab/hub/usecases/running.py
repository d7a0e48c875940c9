"""Attempts that run, as the indexes name them that have no others."""

from __future__ import annotations

from sqlalchemy import literal_column

from dynolab.hub.store.tables import attempt

RUNNING = attempt.c.state == literal_column("'running'")
"""Written out: by a parameter, a plan for any state would not dare to use an index of those that run."""
