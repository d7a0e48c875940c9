"""What a job that compares found."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row

from dynolab.hub.usecases.base import Hub
from dynolab.hub.usecases.read_profile import read_document
from dynolab.spec.duets import Duet


async def read_comparison(hub: Hub, row: Row[Any]) -> Duet | None:
    """The answers of the job whose row this is; None: it is of another kind, or left none.

    Raises what :func:`~dynolab.hub.usecases.read_profile.read_profile` does.
    """
    return await read_document(hub, row, Duet, "comparison") if row.kind == "compare" else None
