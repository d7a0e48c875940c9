"""What a job that links tells of the file that it made."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.read_profile import read_document
from dynolab.spec.links import Linked


async def read_linked(hub: Hub, row: Row[Any]) -> Linked | None:
    """The document of the job whose row this is; None: it is of another kind, or left none.

    Raises what :func:`~dynolab.hub.usecases.read_profile.read_profile` does.
    """
    return await read_document(hub, row, Linked, "linked model") if row.kind == "link" else None
