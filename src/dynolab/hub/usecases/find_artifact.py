"""What compile made on the device, of a job that was to keep it."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from dynolab.errors import NotFound


def find_artifact(row: Row[Any]) -> str:
    """The blob of the zip file of the job whose row this is. Raises :class:`NotFound` where there is none, and says why."""
    if row.artifact_blob_id is not None:
        return str(row.artifact_blob_id)
    if not row.keeps_artifact:
        raise NotFound(f"the job {row.id} was not to keep what compile makes", hint="submit one that keeps it")
    why = "its runtime compiles nothing, or its log says why" if row.state == "done" else f"it is {row.state}"
    raise NotFound(f"the job {row.id} left no compiled artifact: {why}")
